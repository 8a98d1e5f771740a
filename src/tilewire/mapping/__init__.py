"""Fit: placement, budgets, routing, certificates, checks."""
