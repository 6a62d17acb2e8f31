"""Every threshold that decides what samples are: tied, atoms, discrete, on a line, or a function of one another."""

# Units of few distinct values are discrete: at most this many levels, and at most a tenth of the samples.
FEW_LEVELS = 20
# Fewer samples than this can stand in the same order by chance.
FEW_SAMPLES = 20

# Ties in this share of the samples are put down to rounding; beyond it, a shared value is an atom.
ATOM_SHARE = 0.02
# An atom also holds at least this many samples, and this many times the median of the levels beside it: rounding
# spreads ties over neighboring levels, an atom stands alone.
ATOM_COUNT = 5
ATOM_PROMINENCE = 5
LEVELS_BESIDE = 5
# Where a density is at stake, a value is also an atom if more samples than this share it, and six times as many as
# share each of the fifty values on either side on average: Poisson counts of rounded values hardly ever reach that.
LONE_ATOM, LONE_ATOM_PROMINENCE, LEVELS_BESIDE_LONE = 5, 6, 50
# If the atoms leave only this share of the samples, and most of those are tied, the unit is discrete.
DISCRETE_REST = 0.05

# More ties than this mislead an estimator that assumes a density: Kraskov's is off by .01.
MANY_TIES = 0.25
# With fewer ties than this, a unit counts as smooth, so that it can lie on a curve with another.
SMOOTH_TIES = 0.05
# Units in the same order are copies if this share of the samples is untied; below it, they are equal classes.
UNTIED_SHARE = 0.05
# With at most that share untied, a unit that takes one value wherever another repeats is a function of it, unless
# independent units would agree as often with this probability.
AGREE_BY_CHANCE = 1e-9

# 1 − r² that rounding leaves of a linear relation: of float64 samples, of float32 samples, and of a sample and its
# neighbors on a curve, whose own curvature counts too (relative to the number of samples, but at least).
LINEAR = 1e-12
LINEAR_FLOAT32 = 1e-11
LINEAR_NEARBY, LINEAR_NEARBY_LEAST = 0.02, 1e-6

# From this information on (nats), the engine checks whether a pair lies on a curve, and finds that it does if this
# share of its samples is on a line with its neighbors.
SUSPICIOUS = 0.25
SINGULAR_SHARE = 0.05

# A unit is a smooth function of another if a parabola fits five samples in a row, up to the tolerance of a line, in
# that share of 64 places. Fewer samples than this are not judged: positions of a few inputs come in clumps, and within
# a clump nearly everything is smooth. Very many samples are spread: float32 would blur them.
PLACES, IN_A_ROW, FITTING_SHARE, FEWEST_IN_ROWS, RANKS_APART = 64, 5, 0.25, 500, 10_000
