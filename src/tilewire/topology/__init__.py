"""A-priori topologies: sparse patterns fixed before training, given as index functions."""
