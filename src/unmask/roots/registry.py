"""The partitioners and routers that an index can name. A new one is one file, and one line here."""

from __future__ import annotations

from typing import Any

from unmask.registry import Registry

PARTITIONERS: Registry[Any] = Registry("partitioner")
"""Name -> class with an ``Options`` model and a constructor ``(options)``."""
PARTITIONERS.at("balanced_kmeans", "unmask.roots.partition.balanced:BalancedKMeans")
PARTITIONERS.at("ising", "unmask.roots.partition.ising_cut:IsingCut")
PARTITIONERS.at("kmeans", "unmask.roots.partition.kmeans:KMeans")
PARTITIONERS.at("maxcut", "unmask.roots.partition.maxcut:MaxCut")
PARTITIONERS.at("pca_tree", "unmask.roots.partition.principal_tree:PcaTree")
PARTITIONERS.at("random", "unmask.roots.partition.chance:Chance")

ROUTERS: Registry[Any] = Registry("router")
"""Name -> class with ``Options`` and a constructor ``(options, statistics)``; if it learns, ``(.., .., arrays)``."""
ROUTERS.at("centroid", "unmask.roots.route.centroid:CentroidRouter")
ROUTERS.at("cones", "unmask.roots.route.cones:ConeRouter")
ROUTERS.at("ebm", "unmask.roots.route.ebm:EnergyRouter")
ROUTERS.at("moments", "unmask.roots.route.moments:MomentsRouter")
