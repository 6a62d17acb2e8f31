"""Student's t distribution, from scipy."""


def student_quantile(level: float, freedom: float) -> float:
    """Return the value that Student's t stays below with probability ``level``.

    Example:
        >>> round(student_quantile(0.975, 1), 2), round(student_quantile(0.975, 30), 3)
        (12.71, 2.042)
    """
    # scipy.special is imported here because it takes longer to load than most summaries take to compute; scipy.stats
    # would give the same numbers but takes a second.
    from scipy.special import stdtrit

    return float(stdtrit(freedom, level))


def student_tail(t: float, freedom: float) -> float:
    """Return the probability that Student's t exceeds ``t``.

    Example:
        >>> round(student_tail(4.3027, 2), 4), round(student_tail(-2.2281, 10), 4)
        (0.025, 0.975)
    """
    from scipy.special import stdtr

    return float(stdtr(freedom, -t))  # of the mirrored value, so that a tiny tail isn't lost in 1 - P
