"""Whether one annotation of a light curve says something else than another: with hysteresis.

A light curve near a border would go to and fro with every window. So a word once said stands until the
opposite is clear, by the margins here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

from broker_plugin.annotate.periods import relation, tolerance_of
from broker_plugin.records.annotation import Annotation


@dataclass(frozen=True, slots=True)
class Margins:
    """How clear a change has to be.

    Attributes
    ----------
    probability : float
        By which the new class must lead over the one that was said.
    energy : float
        By which the energy must lie beyond the novelty threshold. Energies are minus the logarithm of a
        likelihood: 1 is a factor of 2.7 for every model.
    period : float
        Relative difference of periods that are the same. A period that its window cannot resolve better (a
        tenth of P / span) is given that much.
    """

    probability: float = 0.1
    energy: float = 1.0
    period: float = 0.01


@dataclass(frozen=True, slots=True)
class Said:
    """What was said last; small enough to be remembered of every light curve.

    Attributes
    ----------
    predicted_class : str
    novel : bool
    period_days : float or None
        None when no period was significant.
    energy : float or None
        None of a whole object, which has none, and in what earlier versions remembered.
    withdrawn : bool
    """

    predicted_class: str
    novel: bool
    period_days: float | None
    energy: float | None = None
    withdrawn: bool = False

    @classmethod
    def of(cls, annotation: Annotation) -> Self:
        """Return what is to be remembered of an annotation."""
        return cls(
            annotation.predicted_class,
            annotation.novel,
            annotation.period.value_days,
            None if math.isnan(annotation.energy) else annotation.energy,
            annotation.withdrawn,
        )


def what_changed(
    now: Annotation, then: Said, margins: Margins, *, threshold: float | None = None
) -> tuple[str, ...]:
    """Return what is different: some of ``class``, ``novelty``, ``period`` or ``period_multiple``.

    Parameters
    ----------
    now : Annotation
    then : Said
        Of the same object and band.
    margins : Margins
    threshold : float, optional
        Of the energy, above which the model calls a window novel. Where it is not known, a change of the
        verdict counts if the energy has moved by the margin since it was said.
    """
    found = []
    if now.predicted_class != then.predicted_class:
        lead = now.probabilities[now.predicted_class] - now.probabilities.get(then.predicted_class, 0.0)
        if lead >= margins.probability:
            found.append("class")
    if now.novel is not then.novel and _beyond(now, then, margins.energy, threshold):
        found.append("novelty")
    return (*found, *_period_change(now, then.period_days, margins.period))


def _beyond(now: Annotation, then: Said, margin: float, threshold: float | None) -> bool:
    if threshold is not None:
        beyond = now.energy - threshold
        return beyond >= margin if now.novel else -beyond > margin
    return then.energy is None or abs(now.energy - then.energy) >= margin


def _period_change(now: Annotation, then_days: float | None, tolerance: float) -> tuple[str, ...]:
    now_days = now.period.value_days
    if now_days is None and then_days is None:
        return ()
    if then_days is None:
        return ("period",)
    # What was significant once and is still the best candidate has not changed, only its evidence has.
    days = now.period.fold_days if now_days is None else now_days
    span = now.last_epoch_mjd - now.first_epoch_mjd
    how = relation(days, then_days, tolerance_of(days, span, tolerance))
    if how == "same":
        return ()
    return ("period_multiple",) if how == "multiple" and now_days is not None else ("period",)
