"""The partitioners and routers that an index can name. A new one is one file, and one line here."""

from __future__ import annotations

from typing import Any

from unmask.registry import Registry

PARTITIONERS: Registry[Any] = Registry("partitioner")
"""Name -> class with an ``Options`` model and a constructor ``(options)``."""
PARTITIONERS.at("balanced_kmeans", "unmask.retrieval.partition.balanced:BalancedKMeans")
PARTITIONERS.at("ising", "unmask.retrieval.partition.ising:IsingCut")
PARTITIONERS.at("kmeans", "unmask.retrieval.partition.kmeans:KMeans")
PARTITIONERS.at("maxcut", "unmask.retrieval.partition.maxcut:MaxCut")
PARTITIONERS.at("pca_tree", "unmask.retrieval.partition.tree:PcaTree")
PARTITIONERS.at("random", "unmask.retrieval.partition.chance:Chance")

ROUTERS: Registry[Any] = Registry("router")
"""Name -> class with ``Options`` and a constructor ``(options, statistics)``; if it learns, ``(.., .., arrays)``."""
ROUTERS.at("centroid", "unmask.retrieval.route.centroid:CentroidRouter")
ROUTERS.at("cones", "unmask.retrieval.route.cones:ConeRouter")
ROUTERS.at("ebm", "unmask.retrieval.route.ebm:EnergyRouter")
ROUTERS.at("moments", "unmask.retrieval.route.moments:MomentsRouter")
