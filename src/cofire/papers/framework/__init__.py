"""Experiments, tasks, sweeps, claims and verdicts."""
