"""Spiking data sets: named ones, own files, WAV folders; `load` is the door."""

from tilewire.data.catalogue import describe_all, fetch, load
from tilewire.data.record import EventPack, SpikeData

__all__ = ["EventPack", "SpikeData", "describe_all", "fetch", "load"]
