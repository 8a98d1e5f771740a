"""Operators on packed tiles: the tiled recurrent LIF network, its torch oracle and its Numba tier."""
