"""Networks on a fabric: packed parameters, tiled recurrence, readouts."""
