"""A survey's catalogue: one star a row, its class mapped to one of the eight superclasses or NOVEL."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from broker_plugin.errors import InputError
from broker_plugin.model.conventions import CLASSES
from broker_plugin.records.epoch import FloatArray
from training.data.description import CatalogueFile, SurveyDescription
from training.data.tables import numbers, read_columns, words

_DEFAULT_MAPPING = Path(__file__).parent / "superclasses.toml"
_ALLOWED = (*CLASSES, "NOVEL")


@dataclass(frozen=True, slots=True)
class CatalogueStar:
    """One row.

    Attributes
    ----------
    star_id, superclass, original_class : str
    group : int
        Stars of one group never lie on both sides of a split.
    period_days, probability, ra, dec : float
        NaN where not known; degrees.
    photometric : tuple of float
        Gaia M_G, Gaia BP-RP, W_RP; NaN where not known.
    """

    star_id: str
    superclass: str
    original_class: str
    group: int
    period_days: float
    probability: float
    ra: float
    dec: float
    photometric: tuple[float, float, float]


def read_catalogue(description: SurveyDescription) -> tuple[list[CatalogueStar], int]:
    """Return the stars, and how many were dropped since their class is not in the mapping.

    Raises
    ------
    InputError
        If the file or the mapping cannot be read, an id is empty or twice there, or a class is unknown where
        the description says that this is an error.
    """
    file = description.catalogue
    given = {name: column for name, column in file.columns if column is not None}
    table = read_columns(file.path, list(given.values()), file.separator, file.comment)
    n = len(table)

    def number(name: str) -> FloatArray:
        if name not in given:
            return np.full(n, np.nan)
        return numbers(file.path, table[str(given[name])], given[name], file.missing)

    ids = words(table[str(file.columns.star_id)])
    _check_ids(file, ids.tolist())
    original = words(table[str(file.columns.class_)])
    superclass = _superclasses(description, original.tolist())
    period, probability, ra, dec = (number(name) for name in ("period", "probability", "ra", "dec"))
    photometric = [number(name) for name in ("gaia_abs_g_mag", "gaia_bp_rp", "wise_w_rp")]
    labels = words(table[str(given["group"])]) if "group" in given else ids
    # A star without a group of its own must not share one with other such stars.
    labels = np.where(labels == "", ids, labels)
    group = np.unique(labels.astype(str), return_inverse=True)[1]
    if "period" in given and (bad := np.flatnonzero(period <= 0)).size:
        period[bad] = np.nan  # catalogues write 0 for "no period"
    stars = [
        CatalogueStar(
            star_id=str(ids[i]),
            superclass=superclass[i],
            original_class=str(original[i]),
            group=int(group[i]),
            period_days=float(period[i]),
            probability=float(probability[i]),
            ra=float(ra[i]),
            dec=float(dec[i]),
            photometric=(float(photometric[0][i]), float(photometric[1][i]), float(photometric[2][i])),
        )
        for i in range(n)
        if superclass[i]
    ]
    return stars, n - len(stars)


def read_mapping(path: Path | None) -> dict[str, str]:
    """Read a mapping of subclass to superclass.

    Raises
    ------
    InputError
        If it is no TOML of ``subclass = "SUPERCLASS"``, or a superclass is unknown.
    """
    path = path or _DEFAULT_MAPPING
    try:
        mapping = tomllib.loads(path.read_text())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        msg = f'{path}: cannot be read as TOML ({error}); expected lines such as EW = "ECL"'
        raise InputError(msg) from error
    for subclass, superclass in mapping.items():
        if superclass not in _ALLOWED:
            msg = f"{path}: {subclass} = {superclass!r}; expected one of {', '.join(_ALLOWED)}"
            raise InputError(msg)
    return mapping


def _superclasses(description: SurveyDescription, original: list[str]) -> list[str]:
    """Return a superclass for each row, or "" for one that is to be dropped."""
    mapping = read_mapping(description.classes.file)
    unknown = {"novel": "NOVEL", "drop": ""}.get(description.classes.unknown)
    found = []
    for row, name in enumerate(original, start=1):
        superclass = mapping.get(name, unknown)
        if superclass is None:
            msg = (
                f"{description.catalogue.path}: row {row}, column {description.catalogue.columns.class_!r}: "
                f"class {name!r} is not in the mapping ({', '.join(mapping)}); add it there, "
                'or set classes.unknown to "novel" or "drop"'
            )
            raise InputError(msg)
        found.append(superclass)
    return found


def _check_ids(file: CatalogueFile, ids: list[str]) -> None:
    seen: dict[str, int] = {}
    for row, star_id in enumerate(ids, start=1):
        if not star_id or star_id in seen:
            what = f"{star_id!r}, which row {seen[star_id]} has, too" if star_id else "empty"
            msg = f"{file.path}: row {row}, column {file.columns.star_id!r}: {what}; expected one id a star"
            raise InputError(msg)
        seen[star_id] = row
