"""Tilewire: train sparse neural networks that fit the chip."""

__version__ = "0.1.0"
