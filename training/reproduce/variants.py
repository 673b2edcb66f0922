"""The models that an experiment trains: what differs from the main one, and by which split each is judged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from broker_plugin.errors import InputError
from broker_plugin.model.conventions import CLASSES
from training.periods import SEARCH
from training.reproduce.settings import ABLATIONS, ExperimentSettings
from training.reproduce.splits import choose_stars, fold_splits, leaky_split, restricted, without_class
from training.settings import PAPER, TrainingSettings
from training.split import Split, split_by_star
from training.windows import WindowTable

Kind = Literal["main", "paper", "short", "fold", "without"]

CATALOGUE = "period"
"""Column of catalogue periods: they have seen the label."""

_OUTLIERS_LEFT_OUT = 0.125
"""Share of the outliers where a class is left out: searching their periods would outlast the training."""

PAPER_JOINT, PAPER_SEQUENTIAL = "paper-joint", "paper-sequential"
PAPER_CONDITIONS, PAPER_CONDITIONS_SEQUENTIAL = "paper-conditions", "paper-conditions-sequential"


@dataclass(frozen=True, slots=True)
class Variant:
    """One model to train.

    Attributes
    ----------
    name : str
    words : str
        For the report.
    kind : {"main", "paper", "short", "fold", "without"}
        Our recipe; the paper's; short recipe, compared with its like; one fold; one class left out.
    training : TrainingSettings
    number : int
        Of the fold, or index of the class left out; 0 otherwise.
    by_sequence : bool
        The paper's leaky split.
    """

    name: str
    words: str
    kind: Kind
    training: TrainingSettings
    number: int = 0
    by_sequence: bool = False

    @property
    def judged_by_both(self) -> bool:
        """Whether it is judged with catalogue periods, too."""
        return self.kind in {"main", "paper"} and self.training.periods == SEARCH

    @property
    def judged_elsewhere(self) -> bool:
        """Whether it is judged on other surveys: our models that have seen all classes of their own."""
        return self.kind in {"main", "short"} and not self.by_sequence

    @property
    def with_baselines(self) -> bool:
        """Whether baselines are judged on its split and on its z."""
        return self.kind in {"main", "without"} or self.name in {PAPER_JOINT, PAPER_CONDITIONS}


def variants(settings: ExperimentSettings) -> list[Variant]:
    """Return all models of an experiment, the most important first."""
    base = _training(TrainingSettings(), settings, settings.epochs)
    short = replace(base, epochs=settings.short_epochs)
    found = [
        Variant(f"joint-seed{seed}", f"our recipe, seed {seed}", "main", replace(base, seed=seed))
        for seed in settings.seeds
    ]
    if settings.paper_recipe:
        found += _paper(settings)
    first_compared = len(found)
    if settings.sequential:
        changed = replace(short, mode="sequential")
        found.append(Variant("sequential", "trained sequentially", "short", changed))
    found += [
        Variant(f"embedding-{m}", f"embedding of {m}", "short", replace(short, embedding_size=m))
        for m in settings.embeddings
        if m != base.embedding_size
    ]
    if settings.mean_magnitude:
        changed = replace(short, with_mean_magnitude=not base.with_mean_magnitude)
        words = "without" if base.with_mean_magnitude else "with"
        found.append(Variant("mean-magnitude", f"{words} the mean magnitude in z", "short", changed))
    if settings.catalogue_periods:
        changed = replace(short, periods=CATALOGUE)
        found.append(Variant("catalogue-periods", "catalogue periods throughout", "short", changed))
    if settings.leaky_split:
        words = "split by sequence (leaky)"
        found.append(Variant("leaky", words, "short", short, by_sequence=True))
    # Each of these has outliers of its own, of which no window is of the class left out.
    fewer = replace(short, outliers=_OUTLIERS_LEFT_OUT * short.outliers)
    for name in settings.leave_out:
        found.append(Variant(f"without-{name}", f"without {name}", "without", fewer, CLASSES.index(name)))
    for fold in range(settings.folds):
        words = f"fold {fold + 1} of {settings.folds}"
        found.append(Variant(f"fold-{fold + 1}", words, "fold", short, fold))
    if settings.ablations:
        paper = _training(PAPER, settings, settings.short_epochs)
        for name in settings.ablations:
            words, changes = _ablation(name)
            start = paper if name.startswith("lambda") else short
            found.append(Variant(name, words, "short", replace(start, **changes)))
    if any(variant.kind == "short" for variant in found):
        found.insert(first_compared, Variant("short", "our recipe, short", "short", short))
    return found


def split_of(variant: Variant, table: WindowTable, settings: ExperimentSettings) -> Split:
    """Return the split that a model is trained and judged on."""
    rows = choose_stars(table, settings.stars_per_class, settings.seeds[0])
    seed = variant.training.seed
    if variant.by_sequence:
        return leaky_split(table, rows, seed)
    if variant.kind == "fold":
        return fold_splits(table, rows, settings.folds, seed)[variant.number]
    split = restricted(split_by_star(table, seed), rows)
    return without_class(table, split, variant.number) if variant.kind == "without" else split


def _paper(settings: ExperimentSettings) -> list[Variant]:
    """Return the paper's recipe as the stream would meet it, and under the paper's own conditions."""
    paper = _training(PAPER, settings, settings.paper_epochs or settings.epochs)
    theirs = replace(paper, periods=CATALOGUE)
    found = [Variant(PAPER_JOINT, "the paper's recipe, joint", "paper", paper)]
    if settings.sequential:
        changed = replace(paper, mode="sequential")
        found.append(Variant(PAPER_SEQUENTIAL, "the paper's recipe, sequential", "paper", changed))
    if settings.leaky_split and settings.catalogue_periods:
        words = "the paper's recipe and conditions"
        found.append(Variant(PAPER_CONDITIONS, f"{words}, joint", "paper", theirs, by_sequence=True))
        if settings.sequential:
            changed = replace(theirs, mode="sequential")
            words = f"{words}, sequential"
            found.append(Variant(PAPER_CONDITIONS_SEQUENTIAL, words, "paper", changed, by_sequence=True))
    return found


def _ablation(name: str) -> tuple[str, Mapping[str, Any]]:
    try:
        return ABLATIONS[name]
    except KeyError as error:
        msg = f"--ablations {name!r}: there is none of that name; choose from {', '.join(ABLATIONS)}"
        raise InputError(msg) from error


def _training(start: TrainingSettings, settings: ExperimentSettings, epochs: int) -> TrainingSettings:
    changes: dict[str, Any] = {
        name: getattr(settings, name)
        for name in ("sequences_per_epoch", "batch_size", "hidden_size")
        if getattr(settings, name)
    }
    return replace(start, periods=SEARCH, epochs=epochs, seed=settings.seeds[0], **changes)
