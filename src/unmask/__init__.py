"""unmask: a workbench for small language models that do more than write left to right.

The public surface is what ``__all__`` names. It is imported name by name when first used, so that
``import unmask`` stays quick and needs no torch (PEP 562). Every public function passes through
:func:`unmask.arguments.checked` on its way: a wrong argument is an :class:`Error` before any work is done.
"""

from __future__ import annotations

import importlib
from types import FunctionType
from typing import TYPE_CHECKING, Any

from unmask.errors import Error
from unmask.threads import settle

if TYPE_CHECKING:
    from unmask.api.adapt import adapt as adapt
    from unmask.api.analyse import thoughts_analyse as thoughts_analyse
    from unmask.api.blind import blind as blind
    from unmask.api.blind import blind_results as blind_results
    from unmask.api.calibrate import calibrate as calibrate
    from unmask.api.certify import certify as certify
    from unmask.api.choose import choose as choose
    from unmask.api.compare import compare as compare
    from unmask.api.data import data_convert as data_convert
    from unmask.api.data import data_fetch as data_fetch
    from unmask.api.data import data_stats as data_stats
    from unmask.api.demo import demo as demo
    from unmask.api.distill import distill as distill
    from unmask.api.doctor import doctor as doctor
    from unmask.api.draw_trace import draw_trace as draw_trace
    from unmask.api.evaluate import evaluate as evaluate
    from unmask.api.export import export as export
    from unmask.api.import_run import import_run as import_run
    from unmask.api.index import add_texts as add_texts
    from unmask.api.index import build_index as build_index
    from unmask.api.index import link_indexes as link_indexes
    from unmask.api.index import merge_indexes as merge_indexes
    from unmask.api.index_bench import bench_index as bench_index
    from unmask.api.index_search import grep_index as grep_index
    from unmask.api.index_search import index_stats as index_stats
    from unmask.api.index_search import search_index as search_index
    from unmask.api.infill import infill as infill
    from unmask.api.interpolate import thoughts_interpolate as thoughts_interpolate
    from unmask.api.model import Model as Model
    from unmask.api.model import load as load
    from unmask.api.parallel import thoughts_parallel as thoughts_parallel
    from unmask.api.plot import plot as plot
    from unmask.api.recipes import copy_recipe as copy_recipe
    from unmask.api.recipes import recipes as recipes
    from unmask.api.run import load_run as load_run
    from unmask.api.sample import sample as sample
    from unmask.api.samplers import samplers as samplers
    from unmask.api.steer import thoughts_steer as thoughts_steer
    from unmask.api.sweep import plan_sweep as plan_sweep
    from unmask.api.sweep import sweep as sweep
    from unmask.api.sweep import sweep_plans as sweep_plans
    from unmask.api.thought_file import thoughts_resume as thoughts_resume
    from unmask.api.thought_file import thoughts_save as thoughts_save
    from unmask.api.train import plan as plan
    from unmask.api.train import train as train
    from unmask.api.tune import tune as tune
    from unmask.training.recipe import Recipe as Recipe
    from unmask.training.recipe import load_recipe as load_recipe
    from unmask.training.run import Run as Run

__version__ = "0.1.0"

# public name -> the module that defines it
_HOMES = {
    "Model": "unmask.api.model",
    "Recipe": "unmask.training.recipe",
    "Run": "unmask.training.run",
    "adapt": "unmask.api.adapt",
    "add_texts": "unmask.api.index",
    "bench_index": "unmask.api.index_bench",
    "blind": "unmask.api.blind",
    "blind_results": "unmask.api.blind",
    "build_index": "unmask.api.index",
    "calibrate": "unmask.api.calibrate",
    "certify": "unmask.api.certify",
    "choose": "unmask.api.choose",
    "compare": "unmask.api.compare",
    "copy_recipe": "unmask.api.recipes",
    "data_convert": "unmask.api.data",
    "data_fetch": "unmask.api.data",
    "data_stats": "unmask.api.data",
    "demo": "unmask.api.demo",
    "distill": "unmask.api.distill",
    "doctor": "unmask.api.doctor",
    "draw_trace": "unmask.api.draw_trace",
    "evaluate": "unmask.api.evaluate",
    "export": "unmask.api.export",
    "grep_index": "unmask.api.index_search",
    "import_run": "unmask.api.import_run",
    "index_stats": "unmask.api.index_search",
    "infill": "unmask.api.infill",
    "link_indexes": "unmask.api.index",
    "load": "unmask.api.model",
    "load_recipe": "unmask.training.recipe",
    "load_run": "unmask.api.run",
    "merge_indexes": "unmask.api.index",
    "plan": "unmask.api.train",
    "plan_sweep": "unmask.api.sweep",
    "plot": "unmask.api.plot",
    "recipes": "unmask.api.recipes",
    "sample": "unmask.api.sample",
    "samplers": "unmask.api.samplers",
    "search_index": "unmask.api.index_search",
    "sweep": "unmask.api.sweep",
    "sweep_plans": "unmask.api.sweep",
    "thoughts_analyse": "unmask.api.analyse",
    "thoughts_interpolate": "unmask.api.interpolate",
    "thoughts_parallel": "unmask.api.parallel",
    "thoughts_resume": "unmask.api.thought_file",
    "thoughts_save": "unmask.api.thought_file",
    "thoughts_steer": "unmask.api.steer",
    "train": "unmask.api.train",
    "tune": "unmask.api.tune",
}

__all__ = [
    "Error",
    "Model",
    "Recipe",
    "Run",
    "__version__",
    "adapt",
    "add_texts",
    "bench_index",
    "blind",
    "blind_results",
    "build_index",
    "calibrate",
    "certify",
    "choose",
    "compare",
    "copy_recipe",
    "data_convert",
    "data_fetch",
    "data_stats",
    "demo",
    "distill",
    "doctor",
    "draw_trace",
    "evaluate",
    "export",
    "grep_index",
    "import_run",
    "index_stats",
    "infill",
    "link_indexes",
    "load",
    "load_recipe",
    "load_run",
    "merge_indexes",
    "plan",
    "plan_sweep",
    "plot",
    "recipes",
    "sample",
    "samplers",
    "search_index",
    "sweep",
    "sweep_plans",
    "thoughts_analyse",
    "thoughts_interpolate",
    "thoughts_parallel",
    "thoughts_resume",
    "thoughts_save",
    "thoughts_steer",
    "train",
    "tune",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'unmask' has no attribute {name!r}")
    settle()  # before torch is loaded
    from unmask.arguments import checked

    value = getattr(importlib.import_module(_HOMES[name]), name)
    if isinstance(value, FunctionType):
        value = checked(value)
        value.__module__ = __name__  # where it is found, as by pickle
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
