"""Speed, next to what users would pick instead, as ratios within one run."""
