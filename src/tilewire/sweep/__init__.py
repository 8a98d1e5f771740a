"""A sweep: a fixed grid of trainings, each a run folder, in parallel processes, continued by the same call."""
