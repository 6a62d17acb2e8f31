"""The compiled search for nearest neighbors in pairs of units, and the estimators built on it."""
