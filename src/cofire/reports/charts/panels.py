"""Which quantities are drawn over training, and what is said of each."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Panel:
    """A quantity that is drawn over training, by the name of its rows.

    ``floor`` names the rows that hold what noise alone gives. A quantity whose 0 means nothing, such as an entropy,
    is not drawn from 0.
    """

    measure: str
    title: str
    note: str
    floor: str = ""
    floor_name: str = "noise floor"
    of_activations: bool = True
    from_zero: bool = True


def _entropy(method: str, title: str, note: str, *, from_zero: bool = False) -> Panel:
    return Panel(f"entropy_{method}", title, note, from_zero=from_zero)


PANELS = (
    Panel("nc", "Neuronal correlation", "Mean |ρ| of a layer's units.", "nc_noise_floor"),
    Panel("wc", "Weight correlation", "Mean |cosine| between the incoming weights of two units.", of_activations=False),
    Panel(
        "epsilon",
        "What the activation changes, ε",
        "|NC after − NC before| the activation function.",
        of_activations=False,
    ),
    Panel(
        "dependence",
        "Dependence score, ι",
        "Mean mutual information over pairs of units, in nats; copies left out.",
        "dependence_threshold",
        "independent units",
    ),
    Panel(
        "nonlinear_excess",
        "Dependence beyond correlation",
        "Mean information over pairs of units less that of normal pairs with the same ρ, in nats.",
    ),
    Panel("total_correlation", "Total correlation", "Dependence of every order between the units, in nats."),
    _entropy("gaussian", "Entropy, as if normal", "An upper bound that sees correlation only, in nats."),
    _entropy("knn", "Entropy by nearest neighbors", "Biased by nats from 10 units on."),
    _entropy("knn_whitened", "Entropy by nearest neighbors, whitened", "In nats; biased by nats from 20 units on."),
    _entropy("kde_upper", "Entropy with noise, upper bound", "Kolchinsky and Tracey's, in nats."),
    _entropy("kde_lower", "Entropy with noise, lower bound", "Kolchinsky and Tracey's, in nats."),
    _entropy("kde_leave_one_out", "Entropy by kernels", "Leave-one-out density, in nats; biased upwards."),
    _entropy(
        "binned",
        "Binned entropy",
        "Discrete, in nats; the logarithm of the number of samples once each has a cell of its own.",
        from_zero=True,
    ),
    _entropy("independence_bound", "Entropy as if independent", "The sum over units, in nats."),
    _entropy("embedded", "Entropy by kernel embedding", "By the estimator that the run states, in nats."),
)
