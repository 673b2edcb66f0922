"""Records in any order, repeated, damaged."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker_plugin.board import intake
from broker_plugin.board.curve import curve_of_window, unpack
from broker_plugin.board.store import Store
from tests.board.examples import PROCESSED_MS, classification, novelty, record
from tests.records.examples import WINDOW

RECORDS = [
    record(1, 0),
    record(1, 1, novel=False),
    classification(1, 1, novel=False),
    record(1, 2),
    record(2, 0),
]


def contents(store: Store) -> list[tuple[object, ...]]:
    with store.reading() as connection:
        objects = connection.execute("SELECT * FROM objects ORDER BY key").fetchall()
        names = [name for name in objects[0].keys() if name != "changed"]  # noqa: SIM118 (an sqlite3.Row)
        tables = ["annotations ORDER BY annotation_id", "curves ORDER BY window_id"]
        rest = [tuple(row) for table in tables for row in connection.execute(f"SELECT * FROM {table}")]
        return [tuple(row[name] for name in names) for row in objects] + rest


def filled_with(records: list[dict[str, object]]) -> list[tuple[object, ...]]:
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder) / "board.sqlite")
        with store.writing() as connection:
            for one in records:
                intake.put_annotation(connection, one)
        found = contents(store)
        store.close()
        return found


EXPECTED = filled_with(RECORDS)


@settings(max_examples=20)  # each makes a database
@given(st.permutations([*RECORDS, *RECORDS[:2]]))
def test_order_and_repetition_change_nothing(records) -> None:
    """Both topics, in whatever order they are read, parts of them twice."""
    assert filled_with(records) == EXPECTED


def test_the_latest_annotation_is_what_the_list_shows(store: Store) -> None:
    """A star that was novel and is no more."""
    with store.writing() as connection:
        intake.put_annotation(connection, record(1, 2, novel=False, energy=3.0))
        intake.put_annotation(connection, record(1, 0, energy=30.0))
    with store.reading() as connection:
        row = connection.execute("SELECT * FROM objects").fetchone()

    assert (row["energy"], row["novel"], row["ever_novel"], row["n_annotations"]) == (3.0, 0, 1, 2)


def test_a_withdrawn_novelty_leaves_the_novel_ones_and_keeps_its_light_curve(store: Store) -> None:
    """Its record has no light curve and no later epoch: the revision decides, in whatever order they come."""
    first = record(1, 2, revision=1, novel=True)
    gone = record(1, 2, revision=2, novel=True, withdrawn=True, supersedes=first["annotation_id"])
    gone |= {name: [] for name in ("time_mjd", "mag", "magerr", "phase", "reconstruction_mag")}
    earlier = {**record(1, 0, revision=3, changes=("epochs",)), "processed_at": PROCESSED_MS + 10_000}
    with store.writing() as connection:
        intake.put_annotation(connection, gone)
        intake.put_annotation(connection, first)
    with store.reading() as connection:
        row = connection.execute("SELECT * FROM objects").fetchone()
        curve = connection.execute("SELECT data FROM curves").fetchone()["data"]
    assert (row["novel"], row["ever_novel"], row["flags"].split()[-1]) == (0, 1, "withdrawn")
    assert len(unpack(curve)) == 200

    with store.writing() as connection:
        intake.put_annotation(connection, earlier)
        intake.put_window(connection, replace(WINDOW, kind="withdrawal", epochs=WINDOW.epochs[:0]))
    with store.reading() as connection:
        row = connection.execute("SELECT * FROM objects").fetchone()
    assert (row["annotation_id"], row["revision"]) == (earlier["annotation_id"], 3)


def test_a_light_curve_comes_back_exactly(store: Store) -> None:
    """What is drawn is what was published."""
    source = novelty(3)
    with store.writing() as connection:
        intake.put_annotation(connection, record(3))
    with store.reading() as connection:
        curve = unpack(connection.execute("SELECT data FROM curves").fetchone()["data"])
        kept = connection.execute("SELECT record FROM annotations").fetchone()
    stored = intake.stored_record(kept["record"])

    for name in ("time_mjd", "mag", "magerr", "reconstruction_mag"):
        assert np.array_equal(curve[name], getattr(source, name)), name
    assert np.allclose(curve["phase"], source.phase, rtol=0, atol=1e-7)  # kept in float32
    assert "time_mjd" not in stored
    assert stored["alert_id"] == source.annotation.alert_id  # above 2^53: an id is text


def test_a_window_never_takes_the_place_of_a_reconstruction(store: Store) -> None:
    """The light-curve topic is read after the novelties."""
    source = record(1, window_id=WINDOW.window_id)
    with store.writing() as connection:
        intake.put_annotation(connection, source)
        intake.put_window(connection, WINDOW)
    with store.reading() as connection:
        curve = unpack(connection.execute("SELECT data FROM curves").fetchone()["data"])

    assert len(curve) == 200
    assert np.isfinite(curve["reconstruction_mag"]).all()
    assert np.isnan(curve_of_window(WINDOW)["reconstruction_mag"]).all()


@pytest.mark.parametrize(
    "damage",
    [
        {"probabilities": None},
        {"class": "not among the probabilities"},
        {"ra": "east"},
        {"period": []},
        {"quality_flags": 3},
        {"processed_at": "yesterday"},
        {"n_epochs_total": 2**70},
        {"mag": [1.0]},
    ],
)
def test_a_damaged_record_raises_what_feeds_expect(store: Store, damage) -> None:
    """A line that somebody edited: skipped by the feed, never the end of it."""
    with pytest.raises(intake.BAD_RECORD), store.writing() as connection:
        intake.put_annotation(connection, {**record(1), **damage})


def test_forgetting_spares_what_is_labelled(filled: Store) -> None:
    """A person's work outlives the retention."""
    from broker_plugin.board.labels import add_label, new_label

    with filled.writing() as connection:
        add_label(
            connection, new_label(record(5), "artefact", None, "", author="a", now_ms=1), published=True
        )
        gone = intake.forget_annotations(connection, PROCESSED_MS + 10**9)
    with filled.reading() as connection:
        left = [row["object_id"] for row in connection.execute("SELECT object_id FROM objects")]
        curves = connection.execute("SELECT count(*) FROM curves").fetchone()[0]

    assert gone == 29
    assert left == ["ZTF220000005"]
    assert curves == 1


def test_forgetting_looks_at_the_time(filled: Store) -> None:
    """Nothing is old enough."""
    with filled.writing() as connection:
        assert intake.forget_annotations(connection, PROCESSED_MS) == 0
