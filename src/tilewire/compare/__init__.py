"""Comparison of a-priori topologies by training: a grid at equal weights, its tables, and how well scores without data foretell it."""
