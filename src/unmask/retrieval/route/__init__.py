"""Routers: which shelves a query should open first."""

from unmask.retrieval.route.router import ROUTERS, Lessons, Router, lessons, make_router, opening_order

__all__ = ["ROUTERS", "Lessons", "Router", "lessons", "make_router", "opening_order"]
