"""Turn a finished run into a bundle: graph, mixture, calibration, golden vectors, report, model card."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from broker_plugin.errors import InputError
from broker_plugin.model import Bundle, Scorer
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
from training.windows import WindowTable, read_windows

Progress = Callable[[str], None]


def export_run(
    run: Path,
    data: Path,
    out: Path,
    cache: Path,
    *,
    name: str,
    version: str,
    also: Sequence[Path] = (),
    elsewhere: Sequence[Path] = (),
    reference_stars: bool = True,
    neighbour_weight: float | None = None,
    periods: str = SEARCH,
    processes: int = 1,
    progress: Progress = lambda _: None,
) -> Evaluation:
    """Make a bundle of a finished run.

    ``also`` are finished runs with other seeds, judged each on its own validation stars, for the spread of
    the figures; ``elsewhere`` are labelled light curves of other surveys. Both end in card and report.
    Without ``reference_stars`` the bundle names no nearest training stars, is a third smaller, and its energy
    is the mixture's alone; ``neighbour_weight`` as in :func:`training.assemble.assemble`.

    ``periods`` gives the periods of the mixture, the calibration and the validation; by default those of the
    search as it is now, which is what the stream will run, even if it was trained with an earlier one.

    In this order: 1. network, mixture and calibration become a bundle (:func:`training.assemble.assemble`),
    2. the validation windows are scored and judged, 3. all files are written, the manifest last.

    Raises
    ------
    InputError
        If the data are not those of the run, or neighbours are to count that the bundle would not hold.
    """
    if not reference_stars:
        if neighbour_weight:
            msg = f"--neighbour-weight {neighbour_weight:g} needs the reference stars; leave one of them out"
            raise InputError(msg)
        neighbour_weight = 0.0
    table = read_windows(data)
    found = periods_for(table, periods, cache, processes=processes, progress=progress)
    named: dict[str, Any] = {
        "name": name,
        "version": version,
        "data_name": data.name,
        "neighbour_weight": neighbour_weight,
    }
    main = _judged(run, table, found, **named, progress=progress)
    others = [_judged(other, table, found, **named, progress=progress) for other in also]
    abroad = []
    for path in elsewhere:
        foreign = read_windows(path)
        abroad.append(
            evaluate(
                main.scorer,
                foreign,
                periods_for(foreign, SEARCH, cache, processes=processes, progress=progress),
                np.arange(len(foreign)),
                data_name=path.name,
                stars="all",
                progress=progress,
            )
        )
    evaluations = [main.evaluation, *(other.evaluation for other in others)]
    write_bundle(
        out,
        BundleContents(
            bundle=main.bundle if reference_stars else replace(main.bundle, reference_stars=None),
            network=main.network,
            graph=build_onnx(main.network, main.record.conventions),
            report={
                "evaluation": asdict(main.evaluation),
                "training": asdict(main.record),
                "other_seeds": [
                    {"seed": other.record.settings.seed, "evaluation": asdict(other.evaluation)}
                    for other in others
                ],
                "elsewhere": [asdict(one) for one in abroad],
            },
            card=model_card(main.bundle.manifest, main.record, evaluations, abroad),
        ),
    )
    return main.evaluation


@dataclass(frozen=True, slots=True)
class _Judged:
    """A run as a bundle in memory, and its figures on its own validation stars."""

    record: RunRecord
    network: Any
    bundle: Bundle
    scorer: Scorer
    evaluation: Evaluation


def _judged(
    run: Path,
    table: WindowTable,
    found: FoldPeriods,
    *,
    name: str,
    version: str,
    data_name: str,
    neighbour_weight: float | None,
    progress: Progress,
) -> _Judged:
    record, network = read_run(run)
    if table.data_digest != record.data_digest:
        msg = (
            f"{data_name}: sha256 {table.data_digest[:12]}, but {run} was trained on {record.data_name} "
            f"with {record.data_digest[:12]}; give the training data"
        )
        raise InputError(msg)
    split = split_by_star(table, record.settings.seed)
    progress(f"{run}: scoring the training and calibration windows")
    mixture = read_mixture(run, record.conventions)
    bundle, runtime = assemble(
        FittedNetwork(network, record.conventions, record.history, mixture),
        table,
        split,
        found,
        name=name,
        version=version,
        provenance=_provenance(record, found),
        neighbour_weight=neighbour_weight,
    )
    progress(f"{run}: scoring the validation windows")
    scorer = Scorer(bundle, runtime)
    evaluation = evaluate(
        scorer,
        table,
        found,
        np.concatenate([split.validate, split.novel]),
        data_name=data_name,
        stars="validation split and NOVEL",
        progress=progress,
    )
    return _Judged(record, network, bundle, scorer, evaluation)


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
