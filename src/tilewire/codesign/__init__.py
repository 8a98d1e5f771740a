"""From a wanted accuracy to the cheapest chip: accuracy as a function of the hop profile, device memory as a function of the profile."""
