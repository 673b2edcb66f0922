"""What the experiment is told: which models are trained, on which splits, with how much work."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

from broker_plugin.model.conventions import CLASSES
from training.baselines.grids import GridName

Scale = Literal["quick", "default", "full"]

ABLATIONS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "no-augmentation": (
        "no outliers, no added noise and bad epochs",
        {"outliers": 0.0, "noise": 0.0, "bad_epochs": 0.0},
    ),
    "no-outliers": ("no simulated outliers", {"outliers": 0.0}),
    "no-noise": ("no added noise and bad epochs", {"noise": 0.0, "bad_epochs": 0.0}),
    "memberships": ("mixture from memberships, as the paper", {"mixture": "memberships", "outliers": 0.0}),
    "paper-features": ("the paper's auxiliary features", {"features": "paper"}),
    "balanced": ("probabilities for equal classes", {"prior_exponent": 0.0}),
    "inverse-error": ("weights 1/sigma, as the paper", {"weight_mode": "inverse_error"}),
    "no-dropout": (
        "no dropout",
        {"gru_dropout": 0.0, "estimation_dropout": 0.0, "auxiliary_dropout": 0.0},
    ),
    "compact": ("three times the pull towards the components", {"compactness": 0.1}),
    "lambda-0": ("lambda = 0, the paper's recipe", {"energy_weight": 0.0}),
    "lambda-01": ("lambda = 0.01, the paper's recipe", {"energy_weight": 1e-2}),
}
"""Words and what changes, by name; those of lambda start from the paper's recipe, which alone has it."""


@dataclass(frozen=True, slots=True)
class ExperimentSettings:
    """One experiment.

    Attributes
    ----------
    seeds : tuple of int
        Of the main model, joint training on the star split: split, weights and sampling change together.
    paper_recipe : bool
        Whether the paper's recipe is trained beside ours.
    embeddings : tuple of int
        Sizes compared, in the short recipe.
    sequential, mean_magnitude, catalogue_periods, leaky_split : bool
        Whether these variants are trained: the paper's sequential training; its mean-magnitude feature;
        training and judging with the column ``period`` (it has seen the label); its split by sequence. The
        last two together are the paper's own conditions.
    ablations : tuple of str
        Choices of our recipe that are undone, one at a time: names of :data:`ABLATIONS`.
    folds : int
        k of the k-fold cross-validation by star, in the short recipe; 0 for none.
    leave_out : tuple of str
        Classes that are kept from training, one at a time, and then looked for as novel.
    elsewhere : tuple of str
        Parquet files of labelled light curves of other surveys, that every model of ours is judged on.
    epochs, short_epochs, paper_epochs : int
        Of the main model, of everything that is compared, and of the paper's recipe; 0 for the latter takes
        those of the main model.
    sequences_per_epoch, batch_size, hidden_size : int
        As in the training settings; 0 takes those settings' own.
    stars_per_class : int
        At most so many stars of each class, drawn with the first seed; 0 for all.
    forest_grid : {"paper", "small", "one"}
        Of the random forests beside the first seed; beside the others one forest each.
    period_windows : int
        Windows of each class in the table of found periods; 0 for none.
    astropy_windows : int
        How many of all of them astropy's periodograms are run on, for fractions and time; a three-term one
        takes seconds.
    """

    seeds: tuple[int, ...] = (1, 2, 3)
    embeddings: tuple[int, ...] = (8, 16, 32, 64)
    paper_recipe: bool = True
    sequential: bool = True
    mean_magnitude: bool = True
    catalogue_periods: bool = True
    leaky_split: bool = True
    ablations: tuple[str, ...] = tuple(ABLATIONS)
    folds: int = 3
    leave_out: tuple[str, ...] = CLASSES
    elsewhere: tuple[str, ...] = ()
    epochs: int = 40
    short_epochs: int = 10
    paper_epochs: int = 0
    sequences_per_epoch: int = 0
    batch_size: int = 0
    hidden_size: int = 0
    stars_per_class: int = 0
    forest_grid: GridName = "small"
    period_windows: int = 60
    astropy_windows: int = 18


SCALES: dict[Scale, ExperimentSettings] = {
    "quick": ExperimentSettings(
        seeds=(1, 2),
        embeddings=(8, 16),
        ablations=(),
        folds=2,
        leave_out=("RRAB",),
        epochs=3,
        short_epochs=2,
        sequences_per_epoch=640,
        hidden_size=24,
        stars_per_class=60,
        forest_grid="one",
        period_windows=5,
        astropy_windows=2,
    ),
    "default": ExperimentSettings(),
    "full": ExperimentSettings(
        folds=5, short_epochs=40, forest_grid="paper", period_windows=200, astropy_windows=90
    ),
}
"""``quick``: minutes, shows that everything runs; ``default``: an evening on 2 cores; ``full``: a weekend."""


def changed(settings: ExperimentSettings, changes: dict[str, object]) -> ExperimentSettings:
    """Return the settings with those fields replaced that are not None."""
    values = {field.name: getattr(settings, field.name) for field in fields(settings)}
    values |= {name: value for name, value in changes.items() if value is not None}
    return ExperimentSettings(**values)
