"""What the experiment is told: which models are trained, on which splits, with how much work."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal

from broker_plugin.model.conventions import CLASSES
from training.baselines.grids import GridName

Scale = Literal["quick", "default", "full"]


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
    ablations : bool
        Whether the choices that our recipe makes are undone one at a time, and lambda is varied.
    folds : int
        k of the k-fold cross-validation by star, in the short recipe; 0 for none.
    leave_out : tuple of str
        Classes that are kept from training, one at a time, and then looked for as novel.
    epochs, short_epochs : int
        Of the main model, and of everything that is compared.
    sequences_per_epoch, batch_size, hidden_size : int
        As in the training settings; 0 takes those settings' own.
    stars_per_class : int
        At most so many stars of each class, drawn with the first seed; 0 for all.
    forest_grid : {"paper", "small", "one"}
        Of the random forests.
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
    ablations: bool = True
    folds: int = 3
    leave_out: tuple[str, ...] = CLASSES
    epochs: int = 40
    short_epochs: int = 10
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
        ablations=False,
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
