"""What every statistic rests on: array checks, precision, display, progress, distances."""
