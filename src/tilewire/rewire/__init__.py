"""Rewiring: one engine = drop rule + grow rule + budget + protected set."""
