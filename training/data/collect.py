"""From a survey's description to one parquet file of stars in the layout of training and evaluation."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from broker_plugin.errors import InputError
from broker_plugin.model.conventions import CLASSES
from broker_plugin.records.epoch import FloatArray
from training.data.catalogue import CatalogueStar, read_catalogue
from training.data.description import Column, Cuts, LightCurveFiles, SurveyDescription
from training.data.fold_residual import fold_residual
from training.data.tables import numbers, read_columns, words

Progress = Callable[[str], None]

PHOTOMETRIC_COLUMNS = ("gaia_abs_g_mag", "gaia_bp_rp", "wise_w_rp")
"""Gaia M_G and BP-RP, and W_RP, as the layout calls them; null where not known, never a number like 99."""

_PROGRESS_STARS = 1000


@dataclass(slots=True)
class CollectReport:
    """What became of the catalogue's stars.

    Attributes
    ----------
    in_catalogue, written : int
    dropped : dict of str to int
        By reason.
    by_class : dict of str to int
        Stars written, by superclass.
    """

    in_catalogue: int = 0
    written: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    by_class: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class _LightCurve:
    """Usable epochs in time order, shape (n,)."""

    hjd: FloatArray
    mag: FloatArray
    magerr: FloatArray


def collect_stars(
    description: SurveyDescription, out: Path, progress: Progress = lambda _: None
) -> CollectReport:
    """Read a survey, make the cuts, and write one row a star.

    In this order: 1. the catalogue is read and every class mapped, 2. each star's light curve is read and
    cut, 3. the parquet replaces an earlier one in one step.

    Raises
    ------
    InputError
        If a file cannot be read, or a cell is not what it should be; or if no star is left.
    """
    stars, unmapped = read_catalogue(description)
    report = CollectReport(in_catalogue=len(stars) + unmapped)
    if unmapped:
        report.dropped["class not in the mapping"] = unmapped
    wanted = []
    for star in stars:
        floor = description.cuts.min_probability
        if floor is not None and not star.probability >= floor:
            report.dropped[f"probability below {floor:g} or not known"] += 1
        else:
            wanted.append(star)
    rows: list[dict[str, object]] = []
    for number, (star, curve) in enumerate(_light_curves(description.light_curves, wanted), start=1):
        if curve is None:
            report.dropped["no light curve"] += 1
            continue
        row = _row(description.survey, star, curve)
        reason = _cut(row, curve, star, description.cuts)
        if reason is not None:
            report.dropped[reason] += 1
            continue
        rows.append(row)
        report.by_class[star.superclass] += 1
        if number % _PROGRESS_STARS == 0:
            progress(f"{number} of {len(wanted)} stars read, {len(rows)} kept")
    report.written = len(rows)
    if not rows:
        reasons = ", ".join(f"{count} {reason}" for reason, count in report.dropped.items())
        msg = f"{description.catalogue.path}: no star of {report.in_catalogue} is left ({reasons})"
        raise InputError(msg)
    _write(out, rows, description)
    return report


def _light_curves(
    files: LightCurveFiles, stars: list[CatalogueStar]
) -> Iterator[tuple[CatalogueStar, _LightCurve | None]]:
    columns = files.columns
    if files.pattern is not None:
        for star in stars:
            path = files.path / files.pattern.format(star_id=star.star_id)
            if not path.exists():
                yield star, None
                continue
            table = read_columns(path, _epoch_columns(files), files.separator, files.comment)
            yield star, _usable(files, path, table)
        return
    assert columns.star_id is not None
    table = read_columns(
        files.path, [columns.star_id, *_epoch_columns(files)], files.separator, files.comment
    )
    by_star = table.groupby(words(table[str(columns.star_id)]), sort=False).indices
    parsed = _parsed(files, files.path, table)
    for star in stars:
        rows = by_star.get(star.star_id)
        yield star, None if rows is None else _sorted(*(column[rows] for column in parsed))


def _epoch_columns(files: LightCurveFiles) -> list[Column]:
    """Return the columns to read; keys of a TOML table are text, even those that are numbers."""
    columns: list[Column] = [files.columns.time, files.columns.mag, files.columns.magerr]
    numbered = isinstance(files.columns.time, int)
    return columns + [int(name) if numbered and name.isdigit() else name for name in files.keep]


def _usable(files: LightCurveFiles, path: Path, table: pd.DataFrame) -> _LightCurve:
    return _sorted(*_parsed(files, path, table))


def _parsed(
    files: LightCurveFiles, path: Path, table: pd.DataFrame
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return times, magnitudes and errors of all rows; the time of an epoch that is not wanted is NaN."""
    columns = files.columns
    time = numbers(path, table[str(columns.time)], columns.time) + files.time_offset_days
    mag = numbers(path, table[str(columns.mag)], columns.mag, files.missing)
    magerr = numbers(path, table[str(columns.magerr)], columns.magerr, files.missing)
    for name, allowed in files.keep.items():
        time[~np.isin(words(table[name]), allowed)] = np.nan
    return time, mag, magerr


def _sorted(time: FloatArray, mag: FloatArray, magerr: FloatArray) -> _LightCurve:
    """Drop epochs that lack a value or have no positive error, and of equal times all but the first."""
    good = np.isfinite(time) & np.isfinite(mag) & np.isfinite(magerr)
    good[good] &= magerr[good] > 0
    time, mag, magerr = time[good], mag[good], magerr[good]
    _, first = np.unique(time, return_index=True)
    return _LightCurve(time[first], mag[first], magerr[first])


def _row(survey: str, star: CatalogueStar, curve: _LightCurve) -> dict[str, object]:
    return {
        "star_id": star.star_id,
        "survey": survey,
        "ra": star.ra,
        "dec": star.dec,
        "superclass": star.superclass,
        "orig_class": star.original_class,
        "period": star.period_days,
        "probability": star.probability,
        **dict(zip(PHOTOMETRIC_COLUMNS, star.photometric, strict=True)),
        "group": star.group,
        "n_epochs": len(curve.hjd),
        "fold_residual": fold_residual(curve.hjd, curve.mag, star.period_days) if len(curve.hjd) else np.nan,
        "hjd": curve.hjd,
        "mag": curve.mag.astype(np.float32),
        "magerr": curve.magerr.astype(np.float32),
    }


def _cut(row: dict[str, object], curve: _LightCurve, star: CatalogueStar, cuts: Cuts) -> str | None:
    """Return why a star is dropped, or None. Stars of other kinds need not fold well to be novel."""
    if len(curve.hjd) < cuts.min_epochs:
        return f"fewer than {cuts.min_epochs} epochs"
    mean = float(curve.mag.mean())
    if cuts.min_mag is not None and mean < cuts.min_mag:
        return f"brighter than {cuts.min_mag:g} mag"
    if cuts.max_mag is not None and mean > cuts.max_mag:
        return f"fainter than {cuts.max_mag:g} mag"
    limit = cuts.max_fold_residual
    if limit is not None and star.superclass in CLASSES and not float(str(row["fold_residual"])) <= limit:
        return f"fold residual above {limit:g} or no period"
    return None


def _write(out: Path, rows: list[dict[str, object]], description: SurveyDescription) -> None:
    frame = pd.DataFrame(rows)
    table = pa.Table.from_pandas(frame, preserve_index=False)
    note = description.model_dump_json(by_alias=True).encode()
    table = table.replace_schema_metadata({**(table.schema.metadata or {}), b"survey_description": note})
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = out.with_name(out.name + ".partial")
    pq.write_table(table, partial)
    os.replace(partial, out)


def report_text(report: CollectReport) -> str:
    """Return the report as lines for the terminal."""
    values = asdict(report)
    lines = [f"{values['in_catalogue']} stars in the catalogue, {values['written']} written"]
    lines += [f"  dropped {count}: {reason}" for reason, count in report.dropped.most_common()]
    lines += [f"  {name}: {count}" for name, count in sorted(report.by_class.items())]
    return "\n".join(lines)
