"""The processes and mask-rate schedules that a recipe can name. A new one is one file, and one line here.

A process's line also says where its options are: they are read before torch is imported.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from unmask.errors import Error
from unmask.registry import Registry

if TYPE_CHECKING:
    from unmask.diffusion.schedules import Schedule

PROCESSES: Registry[Any] = Registry("process", facts=lambda process: process.Options)
"""Name -> class with an ``Options`` model and a constructor ``(options, vocabulary)``."""
PROCESSES.at("causal", "unmask.diffusion.causal:Causal", "unmask.diffusion.options:CausalOptions")
PROCESSES.at("masked", "unmask.diffusion.masked:Masked", "unmask.diffusion.options:MaskedOptions")
PROCESSES.at("block", "unmask.diffusion.block:Block", "unmask.diffusion.options:BlockOptions")
PROCESSES.at("uniform", "unmask.diffusion.uniform:Uniform", "unmask.diffusion.options:UniformOptions")
PROCESSES.at("sparse", "unmask.diffusion.sparse:Sparse", "unmask.diffusion.options:SparseOptions")
PROCESSES.at("sparse_flatten", "unmask.diffusion.flatten:Flatten", "unmask.diffusion.options:FlattenOptions")

SCHEDULES: Registry[Schedule] = Registry("schedule")
SCHEDULES.at("linear", "unmask.diffusion.schedules:linear")
SCHEDULES.at("cosine", "unmask.diffusion.schedules:cosine")
SCHEDULES.at("raised_cosine", "unmask.diffusion.schedules:raised_cosine")
SCHEDULES.at("sqrt", "unmask.diffusion.schedules:sqrt")
SCHEDULES.at("sigmoid", "unmask.diffusion.schedules:sigmoid")
SCHEDULES.at("exponential", "unmask.diffusion.schedules:exponential")


def check_schedule(name: str) -> None:
    """Refuse a schedule that nobody has; one of the user's own (``package.module:function``) is not imported.

    Raises:
        Error: no such schedule, or ``polynomial`` without a power.
    """
    if name.partition(":")[0] == "polynomial":
        power_of(name)
    elif not is_code(name):
        SCHEDULES.check(name)


def is_code(name: str) -> bool:
    """Tell whether a schedule's name is that of somebody's own code (``package.module:function``)."""
    head, _, tail = name.partition(":")
    return bool(tail) and head != "polynomial"


def power_of(name: str) -> float:
    """Return P of ``polynomial:P``.

    Raises:
        Error: it is no positive number.
    """
    try:
        power = float(name.partition(":")[2])
    except ValueError:
        power = math.nan
    if not 0 < power < math.inf:
        raise Error(f"schedule {name!r} needs a positive power, such as polynomial:2.")
    return power
