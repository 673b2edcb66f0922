"""Numbers and times as the pages write them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

_MJD_OF_1970 = 40587.0
_MINUS = "\N{MINUS SIGN}"


def number(value: float | None, style: str = ".2f") -> str:
    """Return a number with a true minus sign; a dash for none."""
    return "–" if value is None else format(value, style).replace("-", _MINUS)


def signed(value: float, style: str = ".5f") -> str:
    """Return a number that always has its sign."""
    return format(value, f"+{style}").replace("-", _MINUS)


def days(value: float | None) -> str:
    """Return a period with as many digits as anybody reads."""
    return "–" if value is None else f"{value:.5g}"


def date_of_mjd(value: float) -> str:
    """Return the minute in UTC; that barycentric time differs by up to 8 minutes, a list may drop."""
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=value - _MJD_OF_1970)).strftime(
        "%Y-%m-%d %H:%M"
    )


def moment(milliseconds: int) -> str:
    """Return a time since 1970 as UTC."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")


def query(parameters: Mapping[str, str]) -> str:
    """Return ``?`` and the parameters, or nothing."""
    return f"?{urlencode(parameters)}" if parameters else ""


FILTERS: dict[str, Callable[..., Any]] = {
    "number": number,
    "signed": signed,
    "days": days,
    "date_of_mjd": date_of_mjd,
    "moment": moment,
    "query": query,
}
"""Filters of the templates."""
