"""Experiments, tasks, sweeps, claims and their verdicts."""
