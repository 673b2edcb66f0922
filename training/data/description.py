"""A survey's description: a small TOML file that says where things are and what columns mean.

.. code-block:: toml

    survey = "MYSURVEY"
    preset = "asassn"                  # optional: asassn, linear, asas; what follows goes over it

    [catalogue]
    path = "catalogue.csv"             # CSV, whitespace table or parquet; relative to this file
    columns = { star_id = "ID", class = "Type", period = "P", probability = "Prob" }

    [light_curves]
    path = "epochs.parquet"            # one table of all epochs ...
    # pattern = "{star_id}.dat"        # ... or, with a pattern, a folder with a file for each star
    columns = { star_id = "ID", time = "HJD", mag = "V", magerr = "e_V" }

    [classes]
    file = "classes.toml"              # subclass = "SUPERCLASS"; default: the names of ASAS-SN and VSX
    unknown = "novel"                  # or "drop", or "error"

    [cuts]
    min_probability = 0.9              # the paper's
    min_epochs = 200
    max_fold_residual = 0.7
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from broker_plugin.errors import InputError

PRESETS = Path(__file__).parent / "presets"

Column = Annotated[str | int, Field(description="Name in the header, or 1-based number without a header.")]
Separator = Literal[",", ";", "\t", "|", "whitespace"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class CatalogueColumns(_Strict):
    """Which column of the catalogue holds what; only the id and the class must be there."""

    star_id: Column
    class_: Column = Field(alias="class")
    period: Column | None = None
    probability: Column | None = None
    ra: Column | None = None
    dec: Column | None = None
    group: Column | None = None
    gaia_abs_g_mag: Column | None = None
    gaia_bp_rp: Column | None = None
    wise_w_rp: Column | None = None


class CatalogueFile(_Strict):
    """One row a star.

    ``missing`` lists numbers that stand for "not known" (99, -99.9); an empty cell always does.
    """

    path: Path
    columns: CatalogueColumns
    separator: Separator = ","
    comment: str | None = None
    missing: tuple[float, ...] = ()


class EpochColumns(_Strict):
    """Which column of a light curve holds what; ``star_id`` only where one table holds all stars."""

    time: Column
    mag: Column
    magerr: Column
    star_id: Column | None = None


class LightCurveFiles(_Strict):
    """The epochs.

    ``time_offset_days`` is added to the times to give (heliocentric) Julian dates. ``keep`` names columns and
    the values of an epoch worth keeping, such as ``{ Filter = ["V"] }``.
    """

    path: Path
    columns: EpochColumns
    pattern: str | None = None
    separator: Separator = ","
    comment: str | None = None
    time_offset_days: float = 0.0
    missing: tuple[float, ...] = ()
    keep: dict[str, tuple[str, ...]] = {}


class Classes(_Strict):
    """How the survey's classes become the eight superclasses and NOVEL."""

    file: Path | None = None
    unknown: Literal["error", "novel", "drop"] = "error"


class Cuts(_Strict):
    """Which stars are good enough; a cut left out is not made.

    ``min_probability`` of the survey's own classification, ``min_mag`` and ``max_mag`` of the mean magnitude,
    ``min_epochs``, and ``max_fold_residual``: the scatter about the folded curve over the whole scatter
    (:mod:`training.data.fold_residual`). Tsang & Schultz (2019): 0.9, none, 200, 0.7. The last one takes most
    low-amplitude stars away.
    """

    min_probability: float | None = Field(default=None, ge=0, le=1)
    min_mag: float | None = None
    max_mag: float | None = None
    min_epochs: int = Field(default=200, ge=1)
    max_fold_residual: float | None = Field(default=None, gt=0)


class SurveyDescription(_Strict):
    """The whole file."""

    survey: str
    catalogue: CatalogueFile
    light_curves: LightCurveFiles
    classes: Classes = Classes()
    cuts: Cuts = Cuts()


def read_description(path: Path) -> SurveyDescription:
    """Read a survey's description; paths in it become absolute, relative ones starting at its folder.

    Raises
    ------
    InputError
        If the file is missing, is no TOML, or a key is missing, unknown or wrong.
    """
    content = _toml(path)
    preset = content.pop("preset", None)
    if preset is not None:
        known = sorted(entry.stem for entry in PRESETS.glob("*.toml"))
        if preset not in known:
            msg = f"{path}: preset {preset!r}; expected one of {', '.join(known)}"
            raise InputError(msg)
        content = _merged(_toml(PRESETS / f"{preset}.toml"), content)
    for section, key in (("catalogue", "path"), ("light_curves", "path"), ("classes", "file")):
        part = content.get(section)
        if isinstance(part, dict) and isinstance(part.get(key), str):
            part[key] = path.parent / part[key]
    try:
        description = SurveyDescription.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        msg = f"{path}: key {where}: {first['msg']} (found {first['input']!r:.80})"
        raise InputError(msg) from error
    light_curves = description.light_curves
    if light_curves.pattern is None and light_curves.columns.star_id is None:
        msg = (
            f"{path}: light_curves has neither a 'pattern' of files such as '{{star_id}}.csv' nor a column "
            "'star_id' of one table; give one of them"
        )
        raise InputError(msg)
    if light_curves.pattern is not None and "{star_id}" not in light_curves.pattern:
        msg = f"{path}: light_curves.pattern {light_curves.pattern!r} lacks '{{star_id}}'"
        raise InputError(msg)
    return description


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        msg = f"{path}: cannot be read as TOML ({error}); expected the description of a survey"
        raise InputError(msg) from error


def _merged(under: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """Return ``under`` with the keys of ``over`` put over it, table by table."""
    merged = dict(under)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merged(merged[key], value) if both else value
    return merged
