"""How the units of a model are wired: which dimensions are the same, what makes, reads and scales them."""
