"""Joint search of network and hardware: screen, propose by generations, train, keep the front."""
