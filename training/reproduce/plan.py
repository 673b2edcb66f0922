"""The steps of an experiment in order, each with everything that decides its outcome."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from broker_plugin.period import PeriodSettings
from broker_plugin.period.digest import search_digest
from training.period_recovery import every, read_samples, recovery_of_astropy, recovery_of_search
from training.periods import SEARCH
from training.reproduce.actions import (
    BASELINES,
    CATALOGUE_EVALUATION,
    CONVENTIONS,
    ELSEWHERE,
    EVALUATION,
    HISTORY,
    NETWORK,
    SCORED,
    Progress,
    Workbench,
    grid_of,
    run_baselines,
    run_fit,
    run_prepare,
    run_score,
)
from training.reproduce.code_digest import code_digest
from training.reproduce.steps import Step
from training.reproduce.variants import CATALOGUE, Variant, variants
from training.run import MIXTURE

PREPARE = "prepare"
PERIODS = "periods"
RECOVERY = "recovery.json"


def plan(bench: Workbench, out: Path) -> tuple[list[Step], list[Variant]]:
    """Return the steps without the report, and the models; the main ones come first and whole.

    So that an experiment that is stopped half-way has its most important figures.
    """
    settings = bench.settings
    models = [
        variant for variant in variants(settings) if variant.training.periods == SEARCH or bench.has_catalogue
    ]
    common = {
        "data": bench.table.data_digest,
        "stars_per_class": settings.stars_per_class,
        "first_seed": settings.seeds[0],
    }
    steps = [
        Step(
            name=PREPARE,
            inputs={**common, "search": search_digest(), "code": code_digest("training.windows")},
            needs=(),
            outputs=("summary.json",),
            run=partial(_run, run_prepare, bench),
        )
    ]
    fit_code = code_digest("training.fit", "training.reproduce.splits", "training.reproduce.variants")
    score_code = code_digest("training.evaluate", "training.assemble", "training.reproduce.splits")
    baseline_code = code_digest("training.baselines.judge", "training.baselines.features")
    for variant in models:
        steps += _steps_of(variant, bench, out, common, (fit_code, score_code, baseline_code))
    if settings.period_windows and CATALOGUE in bench.table.columns_period_days:
        steps.append(
            Step(
                name=PERIODS,
                inputs={
                    "data": bench.table.data_digest,
                    "search": search_digest(),
                    "windows": settings.period_windows,
                    "astropy": settings.astropy_windows,
                    "seed": settings.seeds[0],
                    "code": code_digest("training.period_recovery"),
                },
                needs=(),
                outputs=(RECOVERY,),
                run=partial(_run_periods, bench),
            )
        )
    return steps, models


def _steps_of(
    variant: Variant, bench: Workbench, out: Path, common: dict[str, Any], codes: Sequence[str]
) -> list[Step]:
    """Return the steps fit, score and, where it is compared with others, baselines of one model."""
    fit_code, score_code, baseline_code = codes
    described = {**common, "variant": asdict(variant), "folds": bench.settings.folds}
    fit_step, score_step = f"fit/{variant.name}", f"score/{variant.name}"
    learned = (MIXTURE,) if variant.training.mixture == "learned" else ()
    evaluations = [EVALUATION]
    if variant.judged_by_both and bench.has_catalogue:
        evaluations.append(CATALOGUE_EVALUATION)
    elsewhere = {}
    if variant.judged_elsewhere and bench.settings.elsewhere:
        evaluations.append(ELSEWHERE)
        elsewhere = {"elsewhere": {table.data_digest: name for name, table in bench.elsewhere.items()}}
    steps = [
        Step(
            name=fit_step,
            inputs={**described, "code": fit_code},
            needs=(PREPARE,),
            outputs=(NETWORK, HISTORY, CONVENTIONS, *learned),
            run=partial(_run, run_fit, bench, variant),
        ),
        Step(
            name=score_step,
            inputs={**described, **elsewhere, "code": score_code},
            needs=(fit_step,),
            outputs=(SCORED, *evaluations),
            run=partial(_run, run_score, bench, variant, out / fit_step),
        ),
    ]
    if variant.with_baselines:
        grid = grid_of(variant, bench.settings)
        steps.append(
            Step(
                name=f"baselines/{variant.name}",
                inputs={**described, "grid": grid, "code": baseline_code},
                needs=(score_step,),
                outputs=(BASELINES,),
                run=partial(_run, run_baselines, bench, variant, out / score_step),
            )
        )
    return steps


def _run(action: Any, *arguments: Any) -> None:
    action(*arguments)


def _run_periods(bench: Workbench, folder: Path, progress: Progress) -> None:
    """Compare found with reference periods, by class; astropy on some of the same windows."""
    settings, search = bench.settings, PeriodSettings()
    seed = settings.seeds[0]
    samples = read_samples(bench.data, settings.period_windows, seed, whole=False)
    samples = [sample for sample in samples if np.isfinite(sample.period_days)]
    few = every(samples, settings.astropy_windows)
    document = {
        "windows": [asdict(one) for one in recovery_of_search(samples, search, progress)],
        "same_windows": [asdict(one) for one in recovery_of_search(few, search, progress)],
        "astropy": [],
    }
    try:
        document["astropy"] = [asdict(one) for one in recovery_of_astropy(few, search, progress)]
    except ModuleNotFoundError:
        progress("astropy is not installed (extra 'baselines'): no comparison with it")
    (folder / RECOVERY).write_text(json.dumps(document, indent=1) + "\n")
