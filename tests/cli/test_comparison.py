"""Annotations next to the truth."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from broker_plugin.cli.comparison import Truth, compare, latest, read_truth, score
from broker_plugin.cli.tables import share, text_table
from broker_plugin.errors import InputError
from tests.records.examples import ANNOTATION

CLASSES = ("CEPH", "ECL")


def test_last_annotation_of_each_light_curve_counts() -> None:
    """Whatever the order in the file; bands are apart."""
    early, late = replace(ANNOTATION, n_epochs_total=200), replace(ANNOTATION, n_epochs_total=240)
    other = replace(ANNOTATION, band="g", n_epochs_total=200)
    assert latest([late, early, other]) == [late, other]
    assert latest([early, late]) == [late]


def test_scores() -> None:
    """Two known light curves, one right and one called novel; two unseen ones, one found."""
    truth = {
        "a": Truth("EW", "ECL"),
        "b": Truth("CEPH", "CEPH"),
        "c": Truth("NOVA", "NOVEL"),
        "d": Truth("RCB", "NOVEL"),
    }
    energies = {
        "a": (1.0, False),
        "b": (20.0, True),
        "c": (30.0, True),
        "d": (5.0, False),
        "stranger": (0.0, False),
    }
    annotations = [
        replace(ANNOTATION, object_id=name, energy=energy, novel=novel)
        for name, (energy, novel) in energies.items()
    ]
    scored = compare(annotations, truth, CLASSES)
    assert [(item.truth, item.known) for item in scored] == [
        ("ECL", True),
        ("CEPH", True),
        ("NOVA", False),
        ("RCB", False),
    ]
    scores = score(scored)
    assert (scores.known, scores.right, scores.false_novel) == (2, 1, 1)
    assert (scores.unseen, scores.found) == (2, 1)
    assert scores.rank == 0.75  # of the four pairs only (d, b) is the wrong way round


def test_no_scores_of_nothing() -> None:
    """No unseen kinds, no ranking."""
    assert score([]).rank is None


def test_truth_table_errors(tmp_path: Path) -> None:
    """Missing file, missing column."""
    with pytest.raises(InputError, match="cannot be read"):
        read_truth(tmp_path / "no.csv")
    (tmp_path / "t.csv").write_text("object_id,kind\na,b\n")
    with pytest.raises(InputError, match="superclass"):
        read_truth(tmp_path / "t.csv")


def test_table() -> None:
    """Names to the left, figures to the right, no trailing blanks, nothing of nothing."""
    assert text_table(("name", "n"), [("a", "10"), ("long", "9")]) == "name   n\n--------\na     10\nlong   9"
    assert text_table(("", ""), [("a", "1")]) == "a  1"
    assert share(1, 4) == "1 of 4 (25%)"
    assert share(0, 0) == "0 of 0"
