"""How likely chance alone makes two units look alike."""


def chance_of_correlation(r: float, *, freedom: int) -> float:
    r"""Return the probability that two independent normal samples correlate by abs(r) or more.

    .. math:: P(|R| \ge |r|) = I_{1 - r^2}(f / 2, 1 / 2)

    with I the regularized incomplete beta function. The cosine of two random directions in d dimensions has the same
    distribution with f = d − 1.

    Args:
        r: correlation or cosine, from -1 to 1.
        freedom: n_samples − 2 for correlations, dimensions − 1 for cosines. Below 1 chance explains any r: the answer
            is 1.

    Raises:
        ValueError: if ``r`` is outside [-1, 1].

    References: Fisher 1915.

    Example:
        >>> round(chance_of_correlation(0.632, freedom=8), 3)  # the table's 5 % point for ten samples
        0.05
    """
    from scipy.special import betainc

    if not -1 <= r <= 1:
        raise ValueError(f"r must be a correlation from -1 to 1, got {r}")
    # factored, as 1 - r² would lose its digits where r is near ±1
    return float(betainc(freedom / 2, 0.5, (1 - r) * (1 + r))) if freedom >= 1 else 1.0


def critical_correlation(chance: float, *, freedom: int) -> float:
    """Return the abs(r) that independent samples exceed with probability ``chance``; 1 with ``freedom`` below 1.

    Args:
        chance: probability, above 0 and at most 1.
        freedom: as for :func:`chance_of_correlation`.

    Raises:
        ValueError: if ``chance`` is out of range.

    Example:
        >>> round(critical_correlation(0.05, freedom=8), 3)
        0.632
    """
    from scipy.special import betainccinv

    if not 0 < chance <= 1:
        raise ValueError(f"chance must be a probability above 0 and at most 1, got {chance}")
    # r² itself has the beta distribution with swapped parameters; inverting its upper tail keeps small r exact
    return float(betainccinv(0.5, freedom / 2, chance)) ** 0.5 if freedom >= 1 else 1.0
