"""A filter as it is written down: every clause, what it means, and what is allowed.

The same tables stand under ``[filters.<name>]`` of the configuration and come out of the compact form of the
command line (:mod:`broker_plugin.filters.compact`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PositiveFloat,
    field_validator,
    model_validator,
)

from broker_plugin.annotate.combine import OBJECT_FLAGS
from broker_plugin.annotate.quality import QUALITY_FLAGS
from broker_plugin.filters.watchlist import DEFAULT_RADIUS_ARCSEC, read_watchlist

_T = TypeVar("_T")


def _not_empty(items: tuple[_T, ...]) -> tuple[_T, ...]:
    if not items:
        msg = "expected at least one; leave the clause away where all are welcome"
        raise ValueError(msg)
    return items


_AT_LEAST_ONE = AfterValidator(_not_empty)  # after: an item that is wrong is told by itself
Names = Annotated[tuple[str, ...], _AT_LEAST_ONE]
Surveys = Annotated[tuple[Literal["ztf", "lsst"], ...], _AT_LEAST_ONE]
Bands = Annotated[tuple[Literal["u", "g", "r", "i", "z", "y"], ...], _AT_LEAST_ONE]

_WIDEST_CONE_ARCSEC = 180 * 3600.0


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Range(_Table):
    """Limits of a number, both inclusive; one of them may be left open."""

    min: float | None = Field(None, description="at least")
    max: float | None = Field(None, description="at most")

    @model_validator(mode="after")
    def _not_empty(self) -> Self:
        if self.min is None and self.max is None:
            msg = "a range needs min or max"
            raise ValueError(msg)
        if self.min is not None and self.max is not None and self.min > self.max:
            msg = f"nothing lies between min ({self.min:g}) and max ({self.max:g})"
            raise ValueError(msg)
        return self


class Cone(_Table):
    """A circle on the sky."""

    ra: float = Field(ge=0, lt=360, description="J2000, degrees")
    dec: float = Field(ge=-90, le=90, description="J2000, degrees")
    radius_arcsec: float = Field(gt=0, le=_WIDEST_CONE_ARCSEC)


Cones = Annotated[tuple[Cone, ...], _AT_LEAST_ONE]


class WatchlistSpec(_Table):
    """A file of objects or positions; a match with any row will do."""

    file: Path = Field(
        description="CSV with object_id (and survey), or ra and dec in degrees (and radius_arcsec), or one "
        "object id a line"
    )
    radius_arcsec: PositiveFloat = Field(
        DEFAULT_RADIUS_ARCSEC, le=3600, description="of positions without a radius of their own"
    )

    @field_validator("file")
    @classmethod
    def _readable(cls, path: Path) -> Path:
        _, problems = read_watchlist(path)
        if problems:
            raise ValueError("; ".join(problems))
        return path


OF_ONE_BAND = ("bands", "energy", "energy_percentile", "mag", "std_mag")
"""Clauses that mean nothing for the verdict of all bands together, and never let it through."""


class FilterSpec(_Table):
    """Clauses, all of which an annotation must pass."""

    surveys: Surveys | None = Field(None, description="of these surveys")
    bands: Bands | None = Field(None, description="scored in one of these bands")
    classes: Names | None = Field(None, description="the most probable class is one of these")
    probability: Range | None = Field(
        None, description="of the named classes together, else of the most probable; 0 to 1"
    )
    novel: bool | None = Field(None, description="true: novel ones only; false: known kinds only")
    p_value: Range | None = Field(
        None, description="share of known stars at least as extreme; missing without calibration"
    )
    energy: Range | None = Field(None, description="sample energy; high is novel")
    energy_percentile: Range | None = Field(None, description="among the training energies, 0 to 100")
    mag: Range | None = Field(None, description="mean magnitude of the window")
    std_mag: Range | None = Field(None, description="its standard deviation")
    period_days: Range | None = Field(None, description="missing where no period is significant")
    n_epochs: Range | None = Field(None, description="epochs of the object in this band so far")
    cones: Annotated[tuple[Cone, ...], _AT_LEAST_ONE] | None = Field(
        None, description="in any of these circles"
    )
    watchlist: WatchlistSpec | None = Field(None, description="an object or position of a file")
    with_flags: Names | None = Field(None, description="carries all of these quality flags")
    without_flags: Names | None = Field(None, description="carries none of these quality flags")
    new_or_changed: bool = Field(
        False, description="the first that passes of an object and band, then only changes of the verdict"
    )

    @field_validator("with_flags", "without_flags")
    @classmethod
    def _known_flags(cls, flags: tuple[str, ...] | None) -> tuple[str, ...] | None:
        known = {**QUALITY_FLAGS, **OBJECT_FLAGS}
        unknown = sorted(set(flags or ()) - known.keys())
        if unknown:
            msg = f"no quality flag is called {', '.join(unknown)}; there are {', '.join(known)}"
            raise ValueError(msg)
        return flags

    @field_validator("probability", "p_value")
    @classmethod
    def _share(cls, limits: Range | None) -> Range | None:
        return _within(limits, 0, 1)

    @field_validator("energy_percentile")
    @classmethod
    def _percentile(cls, limits: Range | None) -> Range | None:
        return _within(limits, 0, 100)

    @field_validator("period_days", "std_mag", "n_epochs")
    @classmethod
    def _not_negative(cls, limits: Range | None) -> Range | None:
        return _within(limits, 0, float("inf"))

    @model_validator(mode="after")
    def _has_a_clause(self) -> Self:
        if all(getattr(self, name) == field.default for name, field in type(self).model_fields.items()):
            msg = f"a filter needs a clause: {', '.join(type(self).model_fields)}"
            raise ValueError(msg)
        return self


def _within(limits: Range | None, lowest: float, highest: float) -> Range | None:
    """Refuse limits outside of what the number can be: the other unit was meant, or percent."""
    given = [limit for limit in (limits.min, limits.max) if limit is not None] if limits is not None else []
    wrong = [limit for limit in given if not lowest <= limit <= highest]
    if wrong:
        msg = f"found {wrong[0]:g}, expected limits from {lowest:g} to {highest:g}"
        raise ValueError(msg)
    return limits
