"""Partitioners: texts' vectors put on shelves, so that a search opens few of them."""

from unmask.roots.partition.partitioner import PARTITIONERS, Members, Partition, Partitioner, make_partitioner
from unmask.roots.partition.spill import spill

__all__ = ["PARTITIONERS", "Members", "Partition", "Partitioner", "make_partitioner", "spill"]
