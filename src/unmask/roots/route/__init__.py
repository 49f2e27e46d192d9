"""Routers: which shelves a query should open first."""

from unmask.roots.route.router import ROUTERS, Lessons, Router, lessons, make_router, opening_order

__all__ = ["ROUTERS", "Lessons", "Router", "lessons", "make_router", "opening_order"]
