"""Rows of the list, their number, their neighbours."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from broker_plugin.board.selection import Selection
from broker_plugin.model.conventions import CLASSES

_FROM = "objects o LEFT JOIN current_labels l ON l.key = o.key AND l.verdict != 'none'"


@dataclass(frozen=True, slots=True)
class Row:
    """A light curve's latest annotation, as the list shows it.

    Attributes
    ----------
    rank : int
        From 1, in the selection's order.
    values : mapping
        Columns of the store's table ``objects``.
    mix : list of (str, float)
        Probabilities of the classes, in the model's order.
    flags : tuple of str
    verdict, label_class, comment : str or None
        The label in force.
    """

    rank: int
    values: dict[str, Any]
    mix: list[tuple[str, float]]
    flags: tuple[str, ...]
    verdict: str | None
    label_class: str | None
    comment: str | None


@dataclass(frozen=True, slots=True)
class Place:
    """Where a light curve stands in a selection.

    Attributes
    ----------
    rank : int or None
        From 1; None when the selection does not hold it (any more).
    total : int
    previous, following : str or None
        Keys of the neighbours in its order.
    """

    rank: int | None
    total: int
    previous: str | None
    following: str | None


def count(connection: sqlite3.Connection, selection: Selection) -> int:
    """Return how many rows the selection has."""
    where, values = selection.where()
    return int(connection.execute(f"SELECT count(*) FROM {_FROM} WHERE {where}", values).fetchone()[0])  # noqa: S608


def rows(connection: sqlite3.Connection, selection: Selection, offset: int, limit: int) -> list[Row]:
    """Return some rows of the selection, in its order."""
    where, values = selection.where()
    found = connection.execute(
        # Column names and operators come from the tables of selection.py, every value is bound.
        f"SELECT o.*, l.verdict, l.class AS label_class, l.comment FROM {_FROM} WHERE {where} "  # noqa: S608
        f"ORDER BY {selection.order()} LIMIT ? OFFSET ?",
        [*values, limit, offset],
    )
    return [_row(offset + number, row) for number, row in enumerate(found, start=1)]


def place(connection: sqlite3.Connection, selection: Selection, key: str) -> Place:
    """Return rank and neighbours of a light curve.

    One that has left the selection, by its new label for instance, keeps its neighbours: whoever goes on to
    the next does not lose the thread.
    """
    where, values = selection.where()
    row = connection.execute(
        f"""WITH chosen AS (
          SELECT o.key, ({where}) AS inside, row_number() OVER w AS number, lag(o.key) OVER w AS previous,
                 lead(o.key) OVER w AS following
          FROM {_FROM} WHERE ({where}) OR o.key = ? WINDOW w AS (ORDER BY {selection.order()}))
        SELECT *, (SELECT count(*) FROM chosen WHERE inside) AS total FROM chosen WHERE key = ?""",  # noqa: S608
        [*values, *values, key, key],
    ).fetchone()
    if row is None:
        return Place(None, count(connection, selection), None, None)
    return Place(row["number"] if row["inside"] else None, row["total"], row["previous"], row["following"])


def object_row(connection: sqlite3.Connection, key: str) -> Row | None:
    """Return the row of one light curve, None if the store has none of that name."""
    row = connection.execute(
        f"SELECT o.*, l.verdict, l.class AS label_class, l.comment FROM {_FROM} WHERE o.key = ?",  # noqa: S608
        (key,),
    ).fetchone()
    return None if row is None else _row(0, row)


def history(connection: sqlite3.Connection, key: str) -> Sequence[sqlite3.Row]:
    """Return the annotations of a light curve, newest first, each with whether its epochs are here."""
    return connection.execute(
        """SELECT a.*, c.window_id IS NOT NULL AS has_curve FROM annotations a
        LEFT JOIN curves c ON c.window_id = a.window_id WHERE a.key = ?
        ORDER BY a.last_epoch_mjd DESC, a.processed_ms DESC, a.annotation_id DESC""",
        (key,),
    ).fetchall()


def other_bands(connection: sqlite3.Connection, survey: str, object_id: str, band: str) -> list[str]:
    """Return the keys of the same object's light curves in other bands."""
    found = connection.execute(
        "SELECT key FROM objects WHERE key >= ? AND key < ? AND object_id = ? AND band != ? ORDER BY key",
        (f"{survey}/{object_id}/", f"{survey}/{object_id}0", object_id, band),  # "0" comes after "/"
    )
    return [row["key"] for row in found]


def classes(connection: sqlite3.Connection) -> tuple[str, ...]:
    """Return the classes that the newest annotation knows, in its model's order; ours while there is none."""
    row = connection.execute("SELECT probabilities FROM objects ORDER BY changed DESC LIMIT 1").fetchone()
    return CLASSES if row is None else tuple(json.loads(row["probabilities"]))


def totals(connection: sqlite3.Connection) -> dict[str, int]:
    """Return how much the store holds: light curves, novel ones, labelled ones, labels not yet published."""
    row = connection.execute(
        """SELECT (SELECT count(*) FROM objects) AS light_curves,
        (SELECT count(*) FROM objects WHERE novel) AS novel,
        (SELECT count(*) FROM current_labels WHERE verdict != 'none') AS labelled,
        (SELECT count(*) FROM labels WHERE published = 0) AS unpublished,
        (SELECT coalesce(max(changed), 0) FROM objects) AS changed"""
    ).fetchone()
    return dict(row)


def _row(rank: int, row: sqlite3.Row) -> Row:
    return Row(
        rank=rank,
        values=dict(row),
        mix=list(json.loads(row["probabilities"]).items()),
        flags=tuple(row["flags"].split()),
        verdict=row["verdict"],
        label_class=row["label_class"],
        comment=row["comment"],
    )
