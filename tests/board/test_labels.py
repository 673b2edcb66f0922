"""What people say is kept, in order, and comes out whole."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from broker_plugin.board import labels
from broker_plugin.board.curve import Curve, curve_of_novelty
from broker_plugin.board.export import export_labels, joined, superclass
from broker_plugin.board.store import Store
from broker_plugin.errors import InputError
from broker_plugin.records.label import Label
from tests.board.examples import record
from tests.records.examples import LABEL


def give(store: Store, number: int, verdict: str, class_: str | None = None, *, at: int = 1000) -> Label:
    label = labels.new_label(record(number), verdict, class_, f"star {number}", author="me", now_ms=at)
    with store.writing(durable=True) as connection:
        labels.add_label(connection, label, published=False)
    return label


def test_the_newest_label_is_in_force_whatever_came_first(filled: Store) -> None:
    """Labels of a colleague arrive late, and again."""
    late, early = give(filled, 3, "artefact", at=2000), give(filled, 3, "interesting", at=1000)
    with filled.writing() as connection:
        assert not labels.add_label(connection, late, published=True)
    with filled.reading() as connection:
        assert labels.labels_in_force(connection) == [late]
        assert [row["label_id"] for row in labels.labels_of(connection, late.key)] == [
            late.label_id,
            early.label_id,
        ]


def test_a_label_taken_back_is_none(filled: Store) -> None:
    """The history keeps both."""
    give(filled, 3, "artefact", at=1000)
    taken_back = give(filled, 3, "none", at=2000)
    with filled.reading() as connection:
        assert labels.labels_in_force(connection) == []
        assert len(labels.labels_of(connection, taken_back.key)) == 2


def test_what_no_topic_has_is_remembered(filled: Store) -> None:
    """Kafka was away."""
    given = [give(filled, n, "interesting", at=n) for n in (4, 2, 3)]
    with filled.writing() as connection:
        oldest = labels.unpublished(connection, 2)
        labels.mark_published(connection, oldest)
        left = labels.unpublished(connection, 10)

    assert oldest == [given[1], given[2]]
    assert left == [given[0]]


@pytest.mark.parametrize(
    ("verdict", "class_", "comment", "problem"),
    [
        ("great", None, "", "none of interesting, artefact, known, none"),
        ("known", None, "", "needs its class"),
        ("artefact", "ECL", "", "only a known kind has a class"),
        ("known", "x" * 41, "", "the class has 41 characters"),
        ("interesting", None, "x" * 2001, "the comment has 2001 characters"),
    ],
)
def test_bad_labels_are_told(verdict, class_, comment, problem) -> None:
    """What a form cannot send, a script can."""
    assert problem in "; ".join(labels.label_problems(verdict, class_, comment))


@pytest.mark.parametrize(
    ("verdict", "class_", "artefacts", "expected"),
    [
        ("known", "RRAB", "drop", "RRAB"),
        ("known", "CV", "drop", "NOVEL"),
        ("interesting", None, "drop", "NOVEL"),
        ("artefact", None, "drop", None),
        ("artefact", None, "novel", "NOVEL"),
    ],
)
def test_what_training_takes_a_label_for(verdict, class_, artefacts, expected) -> None:
    """A kind that the model has no class for is what a detector should find."""
    assert superclass(replace(LABEL, verdict=verdict, class_=class_), artefacts) == expected


def test_the_training_table_is_read_by_training(filled: Store, tmp_path) -> None:
    """From the page into `python -m training`: windows of 200 epochs and their classes."""
    from training.windows import NOVEL_LABEL, read_windows

    give(filled, 1, "known", "RRAB", at=1)
    give(filled, 2, "interesting", at=2)
    give(filled, 3, "artefact", at=3)

    done = export_labels(filled, tmp_path / "labels.parquet")
    table = read_windows(tmp_path / "labels.parquet")

    assert (done.written, done.dropped_artefacts, done.without_light_curve) == (2, 1, 0)
    assert table.original_class.tolist() == ["RRAB", "interesting"]
    assert table.label[1] == NOVEL_LABEL
    assert table.label[0] >= 0
    source = record(2)
    assert np.allclose(table.time_mjd[1], source["time_mjd"], rtol=0, atol=1e-6)  # through JD and back
    assert np.array_equal(table.mag[1], np.array(source["mag"], dtype=np.float32))


def test_windows_of_a_star_become_one_light_curve(filled: Store, tmp_path) -> None:
    """Three overlapping windows of star 1: 240 epochs, none twice."""
    import pyarrow.parquet as pq

    give(filled, 1, "interesting")
    export_labels(filled, tmp_path / "labels.parquet")

    times = np.array(pq.read_table(tmp_path / "labels.parquet")["hjd"][0].as_py())
    assert len(times) == 240
    assert (np.diff(times) > 0).all()


def test_of_two_values_of_an_exposure_the_first_window_counts() -> None:
    """Revised forced photometry: the newest window is believed."""

    def shifted(by_days: float, by_mag: float) -> Curve:
        source = record(1)
        return curve_of_novelty(
            {
                **source,
                "time_mjd": [t + by_days for t in source["time_mjd"]],
                "mag": [m + by_mag for m in source["mag"]],
            }
        )

    newest, older = shifted(4e-6, 1.0), shifted(0.0, 0.0)  # the same exposures, last digits differ

    assert np.array_equal(joined([newest, older])["mag"], newest["mag"])
    assert np.array_equal(joined([older, newest])["mag"], older["mag"])


def test_lists_hold_every_label_and_no_light_curve_is_needed(store: Store, tmp_path) -> None:
    """A label from a colleague's board, of a star that this one has never seen."""
    with store.writing() as connection:
        labels.add_label(connection, LABEL, published=True)

    assert export_labels(store, tmp_path / "l.csv").written == 1
    assert export_labels(store, tmp_path / "l.jsonl").written == 1
    assert LABEL.object_id in (tmp_path / "l.csv").read_text()
    assert f'"{LABEL.object_id}"' in (tmp_path / "l.jsonl").read_text()  # text: 2^63 - 1 is no JSON number
    assert export_labels(store, tmp_path / "l.parquet").without_light_curve == 1
    with pytest.raises(InputError, match=r"expected a name that ends in \.parquet"):
        export_labels(store, tmp_path / "l.xlsx")
