"""How redundant a layer is: duplicates, linear dependence, effective rank, width."""
