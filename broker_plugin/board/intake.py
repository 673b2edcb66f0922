"""From records to rows of the store; in any order and however often, the rows are the same."""

from __future__ import annotations

import json
import sqlite3
import zlib
from datetime import datetime
from typing import Any

from broker_plugin.board.curve import Curve, curve_of_novelty, curve_of_window, pack
from broker_plugin.records.text import to_json
from broker_plugin.records.window import WITHDRAWAL, Window

_COLUMNS_OF_EPOCHS = ("time_mjd", "mag", "magerr", "phase", "reconstruction_mag")

BAD_RECORD = (KeyError, TypeError, ValueError, AttributeError, OverflowError)
"""What the functions here raise for a record that lacks a field or holds something else there."""

_UPSERT_OBJECT = """
INSERT INTO objects VALUES (
  :key, :survey, :object_id, :band, :ra, :dec, :annotation_id, :last_epoch_mjd, :processed_ms,
  :alert_time_mjd, :novel, :novel, :class, :class_probability, :probabilities, :energy, :energy_percentile,
  :p_value, :period_days, :mean_mag, :std_mag, :n_epochs_total, :flags, 1, :changed, :revision)
ON CONFLICT (key) DO UPDATE SET
  ra = excluded.ra, dec = excluded.dec, annotation_id = excluded.annotation_id,
  last_epoch_mjd = excluded.last_epoch_mjd, processed_ms = excluded.processed_ms,
  alert_time_mjd = excluded.alert_time_mjd, novel = excluded.novel, class = excluded.class,
  class_probability = excluded.class_probability, probabilities = excluded.probabilities,
  energy = excluded.energy, energy_percentile = excluded.energy_percentile, p_value = excluded.p_value,
  period_days = excluded.period_days, mean_mag = excluded.mean_mag, std_mag = excluded.std_mag,
  n_epochs_total = excluded.n_epochs_total, flags = excluded.flags, changed = excluded.changed,
  revision = excluded.revision
WHERE (excluded.revision > 0, iif(excluded.revision > 0, excluded.processed_ms, excluded.last_epoch_mjd),
       excluded.revision, excluded.processed_ms, excluded.annotation_id)
    > (objects.revision > 0, iif(objects.revision > 0, objects.processed_ms, objects.last_epoch_mjd),
       objects.revision, objects.processed_ms, objects.annotation_id)
"""
# A chain of revisions is in the order in which it was made, also over a loss of the stage's memory, after
# which it begins at 1 again. What nobody counted (older versions, late windows) is in that of its epochs.


def light_curve_key(record: dict[str, Any]) -> str:
    """Return the name of a row of the list: ``survey/object/band``."""
    return f"{record['survey']}/{record['object_id']}/{record['band']}"


def put_annotation(connection: sqlite3.Connection, record: dict[str, Any]) -> None:
    """Take in a classification or a novelty, as decoded from Avro or from a line of JSON.

    Raises
    ------
    One of :data:`BAD_RECORD`
    """
    row = _row(record)
    cursor = connection.execute(
        """INSERT INTO annotations VALUES (:annotation_id, :key, :window_id, :last_epoch_mjd, :processed_ms,
        :novel, :class, :class_probability, :energy, :p_value, :period_days, :model_digest, :record)
        ON CONFLICT DO NOTHING""",
        row,
    )
    if cursor.rowcount:  # else it came before, on the other topic or in a repetition
        row["changed"] = next_change(connection)
        known = connection.execute("SELECT 1 FROM objects WHERE key = ?", (row["key"],)).fetchone()
        connection.execute(_UPSERT_OBJECT, row)
        if known:
            connection.execute(
                """UPDATE objects SET n_annotations = n_annotations + 1, ever_novel = max(ever_novel, ?)
                WHERE key = ?""",
                (row["novel"], row["key"]),
            )
    if record.get("reconstruction_mag"):  # a withdrawal has none
        # A window without reconstruction may lie there already, from the light-curve topic.
        _put_curve(connection, record, curve_of_novelty(record), replace=True)


def put_window(connection: sqlite3.Connection, window: Window) -> None:
    """Take in a window of the light-curve topic; what a withdrawal left is none."""
    if window.kind == WITHDRAWAL:
        return
    record = {
        "window_id": window.window_id,
        "survey": window.survey,
        "object_id": window.object_id,
        "band": window.band,
        "last_epoch_mjd": float(window.epochs["time_mjd"][-1]),
    }
    _put_curve(connection, record, curve_of_window(window), replace=False)


def stored_record(data: bytes) -> dict[str, Any]:
    """Return a record as it was taken in, without its columns of epochs."""
    record: dict[str, Any] = json.loads(zlib.decompress(data))
    return record


def next_change(connection: sqlite3.Connection) -> int:
    """Return a number above that of every row: rows with higher ones came or changed later."""
    highest: int | None = connection.execute("SELECT max(changed) FROM objects").fetchone()[0]
    return (highest or 0) + 1


def forget_annotations(connection: sqlite3.Connection, older_than_ms: int | None = None) -> int:
    """Delete annotations and light curves, all or those processed before a time; labelled ones stay.

    Returns
    -------
    int
        How many light curves left the list.
    """
    limit = (1 << 62) if older_than_ms is None else older_than_ms
    stale = "SELECT key FROM objects WHERE processed_ms < ? AND key NOT IN (SELECT key FROM current_labels)"
    connection.execute(f"DELETE FROM curves WHERE key IN ({stale})", (limit,))  # noqa: S608 (no input in it)
    connection.execute(f"DELETE FROM annotations WHERE key IN ({stale})", (limit,))  # noqa: S608
    return connection.execute(f"DELETE FROM objects WHERE key IN ({stale})", (limit,)).rowcount  # noqa: S608


def _row(record: dict[str, Any]) -> dict[str, Any]:
    slim = {name: value for name, value in record.items() if name not in _COLUMNS_OF_EPOCHS}
    probabilities: dict[str, float] = record["probabilities"]
    withdrawn = bool(record.get("withdrawn", False))  # lines of older versions do not say
    flags = [*record["quality_flags"], *(["withdrawn"] if withdrawn else [])]
    period_days = record["period"]["value_days"]
    return {
        **{name: str(record[name]) for name in ("survey", "object_id", "band", "annotation_id", "window_id")},
        **{name: float(record[name]) for name in ("ra", "dec", "last_epoch_mjd", "alert_time_mjd", "energy")},
        **{name: float(record[name]) for name in ("energy_percentile", "mean_mag", "std_mag")},
        "key": light_curve_key(record),
        "processed_ms": _milliseconds(record["processed_at"]),
        "novel": int(record["novel"] and not withdrawn),
        "revision": int(record.get("revision", 0)),
        "class": str(record["class"]),
        "class_probability": float(probabilities[record["class"]]),
        "probabilities": json.dumps(probabilities),
        "p_value": None if record["p_value"] is None else float(record["p_value"]),
        "period_days": None if period_days is None else float(period_days),
        "n_epochs_total": int(record["n_epochs_total"]),
        "flags": f" {' '.join(flags)} " if flags else "",
        "model_digest": str(record["model_digest"]),
        "record": zlib.compress(to_json(slim).encode(), 1),
    }


def _milliseconds(value: datetime | str | int) -> int:
    """Return a time of Avro, of our JSON lines, or as a plain number, in milliseconds since 1970."""
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    return round(value.timestamp() * 1000) if isinstance(value, datetime) else int(value)


def _put_curve(
    connection: sqlite3.Connection, record: dict[str, Any], curve: Curve, *, replace: bool
) -> None:
    verb = "INSERT OR REPLACE" if replace else "INSERT OR IGNORE"
    connection.execute(
        f"{verb} INTO curves VALUES (?, ?, ?, ?)",
        (record["window_id"], light_curve_key(record), float(record["last_epoch_mjd"]), pack(curve)),
    )
