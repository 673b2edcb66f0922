"""What a person says of a light curve. Nothing is overwritten: the newest label is in force, all are kept."""

from __future__ import annotations

import json
import sqlite3
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from broker_plugin.records.label import VERDICTS, Label, label_from_record, label_record

_LONGEST = {"class": 40, "comment": 2000, "author": 80}


def label_problems(verdict: str, class_: str | None, comment: str) -> list[str]:
    """Return what is wrong with a label that somebody wants to give."""
    problems = []
    if verdict not in (*VERDICTS, "none"):
        problems.append(f"verdict {verdict!r} is none of {', '.join(VERDICTS)}, none")
    if verdict == "known" and not class_:
        problems.append("a known kind needs its class")
    if verdict != "known" and class_:
        problems.append(f"only a known kind has a class; found {class_!r} with {verdict!r}")
    for name, text in (("class", class_ or ""), ("comment", comment)):
        if len(text) > _LONGEST[name]:
            problems.append(f"the {name} has {len(text)} characters, at most {_LONGEST[name]} are kept")
    return problems


def new_label(
    record: Mapping[str, Any], verdict: str, class_: str | None, comment: str, *, author: str, now_ms: int
) -> Label:
    """Return a label of the light curve that an annotation record is about."""
    return Label(
        label_id=uuid.uuid4().hex,
        verdict=verdict,
        class_=class_,
        comment=comment,
        author=author[: _LONGEST["author"]],
        labelled_at_ms=now_ms,
        **{name: record[name] for name in ("survey", "object_id", "band", "ra", "dec", "annotation_id")},
        window_id=record["window_id"],
        model_digest=record["model_digest"],
        predicted_class=record["class"],
        energy=record["energy"],
        period_days=record["period"]["value_days"],
    )


def add_label(connection: sqlite3.Connection, label: Label, *, published: bool) -> bool:
    """Keep a label; it is in force if no newer one is there. Return False for one that was kept before."""
    cursor = connection.execute(
        "INSERT INTO labels VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        (
            *(label.label_id, label.key, label.labelled_at_ms, label.verdict, label.class_, label.comment),
            *(label.author, label.annotation_id, json.dumps(label_record(label)), int(published)),
        ),
    )
    connection.execute(
        """INSERT INTO current_labels VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (key) DO UPDATE SET
        label_id = excluded.label_id, verdict = excluded.verdict, class = excluded.class,
        comment = excluded.comment, author = excluded.author, labelled_ms = excluded.labelled_ms
        WHERE (excluded.labelled_ms, excluded.label_id)
            > (current_labels.labelled_ms, current_labels.label_id)""",
        (
            *(label.key, label.label_id, label.verdict, label.class_, label.comment, label.author),
            label.labelled_at_ms,
        ),
    )
    return cursor.rowcount > 0


def labels_of(connection: sqlite3.Connection, key: str) -> Sequence[sqlite3.Row]:
    """Return the labels of a light curve, newest first."""
    return connection.execute(
        "SELECT * FROM labels WHERE key = ? ORDER BY labelled_ms DESC, label_id DESC", (key,)
    ).fetchall()


def labels_in_force(connection: sqlite3.Connection) -> list[Label]:
    """Return the newest label of each light curve, without those that were taken back; oldest first."""
    found = connection.execute(
        """SELECT labels.record FROM current_labels JOIN labels USING (label_id)
        WHERE current_labels.verdict != 'none' ORDER BY current_labels.labelled_ms, current_labels.label_id"""
    )
    return [label_from_record(json.loads(row["record"])) for row in found]


def unpublished(connection: sqlite3.Connection, most: int) -> list[Label]:
    """Return labels that no topic has yet, oldest first."""
    found = connection.execute(
        "SELECT record FROM labels WHERE published = 0 ORDER BY labelled_ms, label_id LIMIT ?", (most,)
    )
    return [label_from_record(json.loads(row["record"])) for row in found]


def mark_published(connection: sqlite3.Connection, labels: Sequence[Label]) -> None:
    """Remember that the topic has these labels."""
    connection.executemany(
        "UPDATE labels SET published = 1 WHERE label_id = ?", [(label.label_id,) for label in labels]
    )
