"""Partitioners: texts' vectors put on shelves, so that a search opens few of them."""

from unmask.retrieval.partition.partitioner import PARTITIONERS, Members, Partition, Partitioner, make_partitioner
from unmask.retrieval.partition.spill import spill

__all__ = ["PARTITIONERS", "Members", "Partition", "Partitioner", "make_partitioner", "spill"]
