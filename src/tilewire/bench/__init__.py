"""Workloads W1 to W5: contestants, the harness that runs them side by side, and its figures."""
