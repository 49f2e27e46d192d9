"""The options of the WuBu stack, under the names that Bytropix gave them, and a few of ours.

A list has one value a level, or one a transition between levels (one fewer). What is not given follows from
``num_levels``: widths halve from 128 on, and all else is Bytropix's default for each level.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

_LEVEL_LISTS = ("hyperbolic_dims", "boundary_points_per_level", "initial_curvatures", "initial_scales")
_TRANSITION_LISTS = ("rotation_types", "transform_types", "transform_hidden_dims")
_LEAST = {"hyperbolic_dims": 1, "boundary_points_per_level": 1, "transform_hidden_dims": 4}
_MINIMA = {
    "initial_curvatures": "curvature_min_value",
    "initial_scales": "scale_min_value",
    "initial_spread_values": "spread_min_value",
}


def _defaults(levels: int) -> dict[str, tuple[Any, ...]]:
    return {
        "hyperbolic_dims": tuple(max(128 >> level, 4) for level in range(levels)),
        "boundary_points_per_level": (5,) * levels,
        "initial_curvatures": (1.0,) * levels,
        "initial_scales": (1.0,) * levels,
        "rotation_types": ("so_n",) * (levels - 1),
        "transform_types": ("mlp",) * (levels - 1),
        "transform_hidden_dims": (None,) * (levels - 1),
    }


class WubuOptions(BaseModel):
    """Recipe section of the nested hyperbolic levels."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    num_levels: int = Field(3, ge=1, le=16)
    """Levels (L)."""
    hyperbolic_dims: tuple[int, ...] = ()
    """Dimensions of each level's ball."""
    boundary_points_per_level: tuple[int, ...] = ()
    """Learnable landmarks of each level (J)."""
    initial_curvatures: tuple[float, ...] = ()
    """c of each level at the start, exactly."""
    initial_scales: tuple[float, ...] = ()
    """s of each level at the start: the maps are exp_0(s v) and log_0(y) / s."""
    initial_spread_values: tuple[float, ...] | None = None
    """sigma of each level at the start, the unit in which it measures distances to its landmarks; ``None``: the scales.
    """
    learnable_curvature: bool = True
    learnable_scales: bool = True
    learnable_spread: bool = True
    curvature_min_value: float = Field(1e-5, gt=0)
    scale_min_value: float = Field(1e-5, gt=0)
    spread_min_value: float = Field(1e-5, gt=0)
    use_level_descriptors: bool = True
    """A learnable vector a level: one more landmark of its ball, and handed on to the next level."""
    level_descriptor_init_scale: float = Field(0.01, gt=0)
    """Standard deviation of the descriptors at the start."""
    use_level_spread: bool = True
    """Off: sigma is 1 and is not handed on."""
    rotation_types: tuple[Literal["so_n", "quat", "identity"], ...] = ()
    """Rotation of each transition."""
    transform_types: tuple[Literal["mlp", "linear", "quat"], ...] = ()
    """Map of each transition from one level's dimensions to the next's."""
    transform_hidden_dims: tuple[int | None, ...] = ()
    """Hidden width of each ``mlp`` map, 4 or more; ``None``: the mean of both dimensions, 8 or more."""
    relative_vector_aggregation: Literal["mean", "sum", "none"] = "mean"
    """How v - b_j of a level's boundary points become one vector for the next level."""
    use_tangent_flow: bool = True
    tangent_flow_type: Literal["mlp", "linear", "none"] = "mlp"
    tangent_flow_hidden_dim_ratio: float = Field(0.5, gt=0)
    """Hidden width of an ``mlp`` flow over the level's dimensions; it is 8 or more."""
    tangent_flow_scale: float = Field(1.0, gt=0)
    """Factor of the flow's displacement."""
    aggregation_method: Literal["concat_tangent"] = "concat_tangent"
    dropout: float = Field(0.1, ge=0, lt=1)
    combiner_hidden_dim: int = Field(64, ge=4)
    """Hidden width of the map that combines what comes into a level; 64 in Bytropix's code."""
    boundary_attention: bool = True
    """Relative vectors are weighted by nearness; off: alike, as in Bytropix."""
    patch_attention: bool = True
    """Patches of a text mix by gyro-midpoints in each level; off: each patch is alone, as in Bytropix."""
    euclidean: bool = False
    """The twin: c is 0 and stays 0, all else is the same."""

    @model_validator(mode="before")
    @classmethod
    def _filled(cls, given: Any) -> Any:
        levels = given.get("num_levels", 3) if isinstance(given, dict) else None
        if not isinstance(levels, int) or isinstance(levels, bool) or not 1 <= levels <= 16:
            return given  # the field's own check says what is wrong
        return _defaults(levels) | given

    @model_validator(mode="after")
    def _fits(self) -> WubuOptions:
        spreads = () if self.initial_spread_values is None else ("initial_spread_values",)
        for names, count, of in (
            ((*_LEVEL_LISTS, *spreads), self.num_levels, "level"),
            (_TRANSITION_LISTS, self.num_levels - 1, "transition between levels"),
        ):
            for name in names:
                if len(getattr(self, name)) != count:
                    raise ValueError(
                        f"{name} has {len(getattr(self, name))} values and num_levels is {self.num_levels}; "
                        f"give {count}, one a {of}, or leave it out"
                    )
        for name, least in _LEAST.items():
            for value in getattr(self, name):
                if value is not None and value < least:
                    raise ValueError(f"{name} has {value}; each must be {least} or more")
        for name, bound in _MINIMA.items():
            for value in getattr(self, name) or ():
                if not getattr(self, bound) < value < float("inf"):
                    raise ValueError(f"{name} has {value:g}; each must be above {bound} ({getattr(self, bound):g})")
        pairs = zip(self.hyperbolic_dims, self.hyperbolic_dims[1:], strict=False)
        for (size, after), rotation, transform in zip(pairs, self.rotation_types, self.transform_types, strict=True):
            if rotation == "quat" and size % 4:
                raise ValueError(f"rotation quat needs a multiple of 4 dimensions, and a level has {size}; use so_n")
            if transform == "quat" and (size % 4 or after % 4):
                raise ValueError(f"transform quat needs multiples of 4 dimensions, not {size} to {after}; use linear")
        return self

    @property
    def spreads(self) -> tuple[float, ...]:
        """Sigma of each level at the start."""
        return self.initial_scales if self.initial_spread_values is None else self.initial_spread_values

    @property
    def flow(self) -> Literal["mlp", "linear", "none"]:
        """The flow that is used."""
        return self.tangent_flow_type if self.use_tangent_flow else "none"
