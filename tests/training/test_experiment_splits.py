"""Splits of the experiment part no group of stars, but for the one that is labelled leaky."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from training.reproduce.settings import SCALES, ExperimentSettings, changed
from training.reproduce.splits import (
    choose_stars,
    fold_splits,
    leaky_split,
    restricted,
    without_class,
)
from training.reproduce.variants import split_of, variants
from training.split import Split, split_by_star
from training.windows import NOVEL_LABEL, WindowTable, read_windows


@pytest.fixture(scope="module")
def table(data: Path) -> WindowTable:
    return read_windows(data)


def groups(table: WindowTable, split: Split) -> list[set[int]]:
    return [set(table.group[part].tolist()) for part in (split.train, split.calibrate, split.validate)]


def test_folds_validate_every_known_window_once(table: WindowTable) -> None:
    """Three folds: disjoint validation parts that cover all; groups on one side only; NOVEL in each."""
    splits = fold_splits(table, np.ones(len(table), dtype=bool), 3, 1)
    validated = np.concatenate([split.validate for split in splits])
    np.testing.assert_array_equal(np.sort(validated), np.flatnonzero(table.label != NOVEL_LABEL))
    for split in splits:
        one, two, three = groups(table, split)
        assert one.isdisjoint(two)
        assert one.isdisjoint(three)
        assert two.isdisjoint(three)
        assert min(len(one), len(two), len(three)) > 0
        assert (table.label[split.novel] == NOVEL_LABEL).all()


def test_without_a_class(table: WindowTable) -> None:
    """All of its windows are novel, none is left to train, calibrate or validate; NOVEL is left out."""
    split = without_class(table, split_by_star(table, 1), 5)
    for part in (split.train, split.calibrate, split.validate):
        assert not np.isin(table.label[part], [5, NOVEL_LABEL]).any()
    np.testing.assert_array_equal(split.novel, np.flatnonzero(table.label == 5))


def test_the_leaky_split_leaks_and_is_complete(table: WindowTable) -> None:
    """By sequence, stars lie on both sides: that is what it is there to show."""
    split = leaky_split(table, np.ones(len(table), dtype=bool), 1)
    one, _, three = groups(table, split)
    assert one & three
    everything = np.concatenate([split.train, split.calibrate, split.validate, split.novel])
    np.testing.assert_array_equal(np.sort(everything), np.arange(len(table)))


def test_some_stars_of_each_class(table: WindowTable) -> None:
    """At most three groups of a class; a split restricted to them holds nothing else."""
    rows = choose_stars(table, 3, 0)
    for label in np.unique(table.label):
        assert len(set(table.group[rows & (table.label == label)].tolist())) == 3
    split = restricted(split_by_star(table, 1), rows)
    assert rows[np.concatenate([split.train, split.calibrate, split.validate, split.novel])].all()


def test_every_model_of_the_full_experiment_has_a_name_and_a_split(table: WindowTable) -> None:
    """Names are folders, so they are unique; every split trains and validates something."""
    settings = changed(SCALES["full"], {"folds": 3})
    models = variants(settings)
    assert len({model.name for model in models}) == len(models)
    assert {model.kind for model in models} == {"main", "paper", "short", "fold", "without"}
    for model in models:
        split = split_of(model, table, settings)
        assert len(split.train) > len(split.validate) > 0


def test_options_override_the_scale() -> None:
    """What is not given stays."""
    settings = changed(SCALES["quick"], {"seeds": (9,), "folds": None})
    assert settings.seeds == (9,)
    assert settings.folds == SCALES["quick"].folds
    assert ExperimentSettings() == SCALES["default"]
