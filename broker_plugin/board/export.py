"""Labels as a file: a training table with the light curves, or a plain list.

The training table has the layout that ``python -m training`` reads everywhere: one row a light curve. The
epochs of all windows that the store kept of a light curve are put together (windows overlap), so that a star
that was annotated often gives more than 200 epochs.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from broker_plugin.board.curve import Curve, unpack
from broker_plugin.board.labels import labels_in_force
from broker_plugin.board.store import Store
from broker_plugin.errors import InputError
from broker_plugin.model.conventions import CLASSES
from broker_plugin.records.epoch import SAME_EXPOSURE_DAYS
from broker_plugin.records.label import Label

NOVEL_CLASS = "NOVEL"
"""What training calls a star of none of its classes."""

Artefacts = Literal["drop", "novel"]
_MJD_TO_JD = 2_400_000.5

_LABEL_COLUMNS = (
    *("label_id", "survey", "object_id", "band", "ra", "dec", "verdict", "class_", "comment", "author"),
    *(
        "labelled_at_ms",
        "annotation_id",
        "window_id",
        "model_digest",
        "predicted_class",
        "energy",
        "period_days",
    ),
)


@dataclass(frozen=True, slots=True)
class Exported:
    """What an export did.

    Attributes
    ----------
    written : int
        Rows.
    without_light_curve : int
        Labels whose epochs the store does not have.
    dropped_artefacts : int
    """

    written: int
    without_light_curve: int = 0
    dropped_artefacts: int = 0


def export_labels(store: Store, path: Path, *, artefacts: Artefacts = "drop") -> Exported:
    """Write the labels in force.

    Parameters
    ----------
    store : Store
    path : Path
        ``.parquet``: the training table; ``.csv`` or ``.jsonl``: a list of labels.
    artefacts : {"drop", "novel"}
        Whether light curves labelled as artefacts are left out of the training table, or are novel in it.

    Raises
    ------
    InputError
        The suffix is another one, or the file cannot be written.
    """
    writers = {".parquet": _write_table, ".csv": _write_csv, ".jsonl": _write_jsonl}
    writer = writers.get(path.suffix)
    if writer is None:
        msg = (
            f"{path}: expected a name that ends in .parquet (training table), .csv or .jsonl (list of labels)"
        )
        raise InputError(msg)
    with store.reading() as connection:
        labels = labels_in_force(connection)
        curves = {
            label.key: [
                unpack(row["data"])
                for row in connection.execute(
                    "SELECT data FROM curves WHERE key = ? ORDER BY last_epoch_mjd DESC", (label.key,)
                )
            ]
            for label in labels
        }
    partial = path.with_name(path.name + ".partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        exported = writer(partial, labels, curves, artefacts)
        partial.replace(path)  # whole or not at all
    except OSError as error:
        msg = f"{path} cannot be written: {error.strerror or error}"
        raise InputError(msg) from error
    return exported


def superclass(label: Label, artefacts: Artefacts) -> str | None:
    """Return what training takes the light curve for; None when it is not to be in the table.

    A known kind that the model does not have, and what somebody found interesting, are novel: kinds that a
    detector should find, and that no class is trained on.
    """
    if label.verdict == "artefact":
        return NOVEL_CLASS if artefacts == "novel" else None
    return label.class_ if label.class_ in CLASSES else NOVEL_CLASS


def joined(curves: Sequence[Curve]) -> Curve:
    """Return the epochs of several windows of a light curve, in time order, one for each exposure.

    Parameters
    ----------
    curves : sequence of Curve
        The one to believe first: of an exposure that two of them have, the first one's value counts.
    """
    together = np.concatenate(curves)
    rank = np.repeat(np.arange(len(curves)), [len(curve) for curve in curves])
    # Exposures first, then belief: neighbours within the tolerance belong to one exposure.
    order = np.argsort(together["time_mjd"], kind="stable")
    starts = np.diff(together["time_mjd"][order], prepend=-np.inf) >= SAME_EXPOSURE_DAYS
    exposure = np.cumsum(starts)
    best = np.lexsort((rank[order], exposure))
    first = np.diff(exposure[best], prepend=0) > 0
    chosen: Curve = together[order][best][first]
    return chosen


def _write_table(
    path: Path, labels: Sequence[Label], curves: dict[str, list[Curve]], artefacts: Artefacts
) -> Exported:
    rows: list[dict[str, Any]] = []
    lacking = dropped = 0
    for label in labels:
        kind = superclass(label, artefacts)
        if kind is None:
            dropped += 1
        elif not curves[label.key]:
            lacking += 1
        else:
            rows.append(_table_row(label, kind, joined(curves[label.key])))
    pq.write_table(pa.Table.from_pylist(rows, schema=TABLE_SCHEMA), path)
    return Exported(len(rows), lacking, dropped)


TABLE_SCHEMA = pa.schema(
    [
        ("star_id", pa.string()),
        ("superclass", pa.string()),
        ("orig_class", pa.string()),
        ("hjd", pa.list_(pa.float64())),
        ("mag", pa.list_(pa.float32())),
        ("magerr", pa.list_(pa.float32())),
        ("period", pa.float64()),
        *((name, pa.string()) for name in ("survey", "object_id", "band")),
        *((name, pa.float64()) for name in ("ra", "dec")),
        *((name, pa.string()) for name in ("verdict", "comment", "author", "label_id", "annotation_id")),
        ("labelled_at_ms", pa.int64()),
    ]
)
"""Columns of the training table; the bands of a star share its ``star_id``, so that no split parts them."""


def _table_row(label: Label, kind: str, curve: Curve) -> dict[str, Any]:
    return {
        "star_id": f"{label.survey}/{label.object_id}",
        "superclass": kind,
        "orig_class": label.class_ or label.verdict,
        "hjd": curve["time_mjd"] + _MJD_TO_JD,  # barycentric; training looks at differences and folds
        "mag": curve["mag"],
        "magerr": curve["magerr"],
        **{
            name: getattr(label, name)
            for name in ("survey", "object_id", "band", "ra", "dec", "verdict", "comment")
        },
        **{name: getattr(label, name) for name in ("author", "label_id", "annotation_id", "labelled_at_ms")},
        "period": label.period_days,
    }


def _write_csv(path: Path, labels: Sequence[Label], _curves: object, _artefacts: Artefacts) -> Exported:
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow([name.rstrip("_") for name in _LABEL_COLUMNS])
        writer.writerows([getattr(label, name) for name in _LABEL_COLUMNS] for label in labels)
    return Exported(len(labels))


def _write_jsonl(path: Path, labels: Sequence[Label], _curves: object, _artefacts: Artefacts) -> Exported:
    with path.open("w", encoding="utf-8") as stream:
        for label in labels:
            record = {name.rstrip("_"): getattr(label, name) for name in _LABEL_COLUMNS}
            stream.write(json.dumps(record, ensure_ascii=False) + "\n")
    return Exported(len(labels))
