"""Turn a finished run into a bundle: graph, mixture, calibration, golden vectors, report, model card."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np

from broker_plugin.errors import InputError
from broker_plugin.model import Scorer
from broker_plugin.model.manifest import Provenance
from training.assemble import assemble
from training.bundle_writer import BundleContents, write_bundle
from training.evaluate import Evaluation, evaluate
from training.fit import FittedNetwork
from training.model_card import model_card
from training.onnx_graph import build_onnx
from training.periods import SEARCH, FoldPeriods, periods_for
from training.run import RunRecord, read_mixture, read_run
from training.split import split_by_star
from training.windows import read_windows

Progress = Callable[[str], None]


def export_run(
    run: Path,
    data: Path,
    out: Path,
    cache: Path,
    *,
    name: str,
    version: str,
    periods: str = SEARCH,
    processes: int = 1,
    progress: Progress = lambda _: None,
) -> Evaluation:
    """Make a bundle of a finished run.

    ``periods`` gives the periods of the mixture, the calibration and the validation; by default those of the
    search as it is now, which is what the stream will run, even if it was trained with an earlier one.

    In this order: 1. network, mixture and calibration become a bundle (:func:`training.assemble.assemble`),
    2. the validation windows are scored and judged, 3. all files are written, the manifest last.

    Raises
    ------
    InputError
        If the data are not those of the run.
    """
    record, network = read_run(run)
    table = read_windows(data)
    if table.data_digest != record.data_digest:
        msg = (
            f"{data}: sha256 {table.data_digest[:12]}, but {run} was trained on {record.data_name} "
            f"with {record.data_digest[:12]}; give the training data"
        )
        raise InputError(msg)
    found = periods_for(table, periods, cache, processes=processes, progress=progress)
    split = split_by_star(table, record.settings.seed)
    progress("scoring the training and calibration windows")
    mixture = read_mixture(run, record.conventions)
    bundle, runtime = assemble(
        FittedNetwork(network, record.conventions, record.history, mixture),
        table,
        split,
        found,
        name=name,
        version=version,
        provenance=_provenance(record, found),
    )
    progress("scoring the validation windows")
    evaluation = evaluate(
        Scorer(bundle, runtime),
        table,
        found,
        np.concatenate([split.validate, split.novel]),
        data_name=data.name,
        stars="validation split and NOVEL",
        progress=progress,
    )
    write_bundle(
        out,
        BundleContents(
            bundle=bundle,
            network=network,
            graph=build_onnx(network, record.conventions),
            report={"evaluation": asdict(evaluation), "training": asdict(record)},
            card=model_card(bundle.manifest, record, evaluation),
        ),
    )
    return evaluation


def _provenance(record: RunRecord, periods: FoldPeriods) -> Provenance:
    return Provenance(
        created_by="python -m training export",
        data_name=record.data_name,
        data_digest=record.data_digest,
        period_source=periods.source,
        search_digest=periods.search_digest,
        seed=record.settings.seed,
        versions=record.versions,
        settings=asdict(record.settings),
    )
