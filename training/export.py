"""Turn a finished run into a bundle: graph, mixture, calibration, golden vectors, report, model card."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from broker_plugin.errors import InputError
from broker_plugin.features import build_network_input
from broker_plugin.model import CLASSES, Bundle, Conventions, Scorer, ScoringWindow
from broker_plugin.model.bundle import GoldenVectors
from broker_plugin.model.manifest import FORMAT_VERSION, Manifest, Provenance, Thresholds
from broker_plugin.model.mixture import Mixture, fit_mixture
from broker_plugin.records.epoch import FloatArray
from training.bundle_writer import BundleContents, session_of, write_bundle
from training.evaluate import Evaluation, evaluate
from training.golden import synthetic_windows
from training.model_card import model_card
from training.onnx_graph import build_onnx
from training.periods import SEARCH, FoldPeriods, periods_for
from training.run import RunRecord, read_run
from training.split import split_by_star
from training.windows import WindowTable, read_windows

Progress = Callable[[str], None]

_QUANTILES = 1001  # a tenth of a percent apart


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

    In this order: 1. the network's graph is built, 2. z and gamma of all training windows give the mixture
    and the quantiles of its energies, 3. the calibration windows give the energies behind the p-values,
    4. the golden windows are scored, 5. the validation windows are scored and judged, 6. all files are
    written, the manifest last.

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
    graph = build_onnx(network, record.conventions)
    runtime = session_of(graph)
    progress("scoring the training windows")
    z, gamma = _latent(runtime, table, split.train, found.period_days, record.conventions)
    mixture = fit_mixture(z, gamma, record.conventions.mixture)
    train_energy = mixture.energy(z)
    calibration = np.sort(
        mixture.energy(_latent(runtime, table, split.calibrate, found.period_days, record.conventions)[0])
    )
    manifest = Manifest(
        format_version=FORMAT_VERSION,
        name=name,
        version=version,
        classes=CLASSES,
        conventions=record.conventions,
        thresholds=thresholds_of(train_energy),
        n_calibration=len(calibration),
        provenance=_provenance(record, found),
        sha256={},
    )
    quantiles = np.percentile(train_energy, np.linspace(0, 100, _QUANTILES))
    bundle = with_golden(manifest, mixture, quantiles, calibration, runtime)
    progress("scoring the validation windows")
    judged = np.concatenate([split.validate, split.novel])
    evaluation = evaluate(
        Scorer(bundle, runtime),
        table,
        found,
        judged,
        data_name=data.name,
        stars="validation split and NOVEL",
        progress=progress,
    )
    write_bundle(
        out,
        BundleContents(
            bundle=bundle,
            network=network,
            graph=graph,
            report={"evaluation": asdict(evaluation), "training": asdict(record)},
            card=model_card(manifest, record, evaluation),
        ),
    )
    return evaluation


def thresholds_of(train_energy: FloatArray) -> Thresholds:
    """Return the paper's cuts; ours is the 95th percentile."""
    at_80, at_95 = (float(value) for value in np.percentile(train_energy, [80, 95]))
    return Thresholds(percentile_80=at_80, percentile_95=at_95, novel=at_95)


def with_golden(
    manifest: Manifest,
    mixture: Mixture,
    quantiles: FloatArray,
    calibration: FloatArray,
    runtime: Any,
) -> Bundle:
    """Return a bundle in memory whose golden vectors are what it says of the synthetic windows."""
    windows = synthetic_windows(manifest.provenance.seed)
    inputs = dataclasses.asdict(windows)
    n_windows, length = windows.mag.shape
    empty = GoldenVectors(
        **inputs,
        probabilities=np.zeros((n_windows, len(manifest.classes))),
        energy=np.zeros(n_windows),
        reconstruction_mag=np.zeros((n_windows, length)),
    )
    bundle = Bundle(
        path=Path(),
        digest="",
        manifest=manifest,
        mixture=mixture,
        energy_quantiles=quantiles,
        calibration_energies=calibration,
        golden=empty,
    )
    scores = Scorer(bundle, runtime).score(
        [
            ScoringWindow(time, mag, magerr, float(period))
            for time, mag, magerr, period in zip(
                windows.time_mjd, windows.mag, windows.magerr, windows.period_days, strict=True
            )
        ]
    )
    golden = dataclasses.replace(
        empty,
        probabilities=np.array([score.probabilities for score in scores]),
        energy=np.array([score.energy for score in scores]),
        reconstruction_mag=np.array([score.reconstruction_mag for score in scores], dtype=np.float64),
    )
    return dataclasses.replace(bundle, golden=golden)


def _latent(
    runtime: Any,
    table: WindowTable,
    index: npt.NDArray[np.int64],
    period_days: FloatArray,
    conventions: Conventions,
) -> tuple[FloatArray, FloatArray]:
    """Return z and gamma, float64, of windows of a table."""
    z, gamma = [], []
    for start in range(0, len(index), _BATCH):
        take = index[start : start + _BATCH]
        built = build_network_input(
            table.time_mjd[take], table.mag[take], table.magerr[take], period_days[take], conventions.input
        )
        output = runtime.predict(built.sequence, built.auxiliary)
        z.append(output.z.astype(np.float64))
        gamma.append(output.gamma.astype(np.float64))
    return np.concatenate(z), np.concatenate(gamma)


_BATCH = 256


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
