"""What the steps of an experiment left, read back."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from training.baselines.judge import BaselineFigures
from training.evaluate import Evaluation
from training.novelty_scores import NoveltyScore
from training.period_recovery import Recovery
from training.reproduce.actions import (
    BASELINES,
    CATALOGUE_EVALUATION,
    ELSEWHERE,
    EVALUATION,
    HISTORY,
    SCORED,
)
from training.reproduce.plan import PERIODS, PREPARE, RECOVERY
from training.reproduce.scored_parts import ScoredParts
from training.reproduce.steps import RECORD
from training.reproduce.variants import Variant

_EVALUATION: TypeAdapter[Evaluation] = TypeAdapter(Evaluation)
_BASELINES: TypeAdapter[dict[str, BaselineFigures]] = TypeAdapter(dict[str, BaselineFigures])
_RECOVERY: TypeAdapter[list[Recovery]] = TypeAdapter(list[Recovery])
_ELSEWHERE: TypeAdapter[dict[str, Evaluation]] = TypeAdapter(dict[str, Evaluation])
_ERROR: TypeAdapter[NoveltyScore | None] = TypeAdapter(NoveltyScore | None)


@dataclass(frozen=True, slots=True)
class ModelResults:
    """One trained model.

    Attributes
    ----------
    variant : Variant
    evaluation : Evaluation
        With the periods that it was trained on.
    catalogue : Evaluation or None
        The same model with catalogue periods.
    elsewhere : dict of str to Evaluation
        On other surveys, by file name; empty where it was not judged there.
    baselines : dict of str to BaselineFigures
        Empty where none were judged.
    reconstruction_error : NoveltyScore or None
    history : list of dict
        Losses by epoch.
    seconds : float
        Of its training; of the last attempt if it was interrupted.
    """

    variant: Variant
    evaluation: Evaluation
    catalogue: Evaluation | None
    elsewhere: dict[str, Evaluation]
    baselines: dict[str, BaselineFigures]
    reconstruction_error: NoveltyScore | None
    history: list[dict[str, float]]
    seconds: float


@dataclass(frozen=True, slots=True)
class Results:
    """The whole experiment.

    Attributes
    ----------
    summary : dict
        Of the data.
    settings : dict
    versions : dict of str to str
    models : list of ModelResults
        Those that are done.
    recovery, recovery_same, recovery_astropy : list of Recovery
    first_scores : ScoredParts
        Of the first main model.
    """

    summary: dict[str, Any]
    settings: dict[str, Any]
    versions: dict[str, str]
    models: list[ModelResults]
    recovery: list[Recovery]
    recovery_same: list[Recovery]
    recovery_astropy: list[Recovery]
    first_scores: ScoredParts

    def of_kind(self, *kinds: str) -> list[ModelResults]:
        """Return the models of some kinds, in order."""
        return [model for model in self.models if model.variant.kind in kinds]

    @property
    def joint(self) -> list[ModelResults]:
        """Return the main model of each seed."""
        return [model for model in self.models if model.variant.name.startswith("joint-seed")]

    def named(self, name: str) -> ModelResults | None:
        """Return the model of a name, if it is there."""
        return next((model for model in self.models if model.variant.name == name), None)


def read_results(out: Path, variants: list[Variant], settings: dict[str, Any]) -> Results:
    """Read everything that the steps of these models left in ``out``."""
    models = [_model(out, variant) for variant in variants]
    first = next(variant for variant in variants if variant.kind == "main")
    recovery: dict[str, Any] = {}
    if (out / PERIODS / RECOVERY).exists():
        recovery = json.loads((out / PERIODS / RECOVERY).read_text())
    return Results(
        summary=json.loads((out / PREPARE / "summary.json").read_text()),
        settings=settings,
        versions=json.loads((out / PREPARE / RECORD).read_text())["versions"],
        models=models,
        recovery=_RECOVERY.validate_python(recovery.get("windows", [])),
        recovery_same=_RECOVERY.validate_python(recovery.get("same_windows", [])),
        recovery_astropy=_RECOVERY.validate_python(recovery.get("astropy", [])),
        first_scores=ScoredParts.load(out / "score" / first.name / SCORED),
    )


def _model(out: Path, variant: Variant) -> ModelResults:
    score = out / "score" / variant.name
    catalogue, elsewhere = score / CATALOGUE_EVALUATION, score / ELSEWHERE
    baselines: dict[str, Any] = {"sets": {}, "reconstruction_error": None}
    if (path := out / "baselines" / variant.name / BASELINES).exists():
        baselines = json.loads(path.read_text())
    fit = out / "fit" / variant.name
    return ModelResults(
        variant=variant,
        evaluation=_EVALUATION.validate_json((score / EVALUATION).read_bytes()),
        catalogue=_EVALUATION.validate_json(catalogue.read_bytes()) if catalogue.exists() else None,
        elsewhere=_ELSEWHERE.validate_json(elsewhere.read_bytes()) if elsewhere.exists() else {},
        baselines=_BASELINES.validate_python(baselines["sets"]),
        reconstruction_error=_ERROR.validate_python(baselines["reconstruction_error"]),
        history=json.loads((fit / HISTORY).read_text()),
        seconds=float(json.loads((fit / RECORD).read_text())["seconds"]),
    )
