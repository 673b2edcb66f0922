"""One training run as a folder: record, checkpoint, history and the trained network."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
from pydantic import TypeAdapter, ValidationError

from broker_plugin.errors import InputError
from broker_plugin.model.conventions import Conventions
from broker_plugin.model.mixture import Mixture
from training.fit import fit, versions
from training.periods import periods_for
from training.settings import TrainingSettings
from training.split import split_by_star
from training.windows import file_digest, read_windows

RECORD = "record.json"
NETWORK = "network.keras"
MIXTURE = "mixture.npz"

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class RunRecord:
    """What a run did, for whoever repeats it.

    Attributes
    ----------
    settings : TrainingSettings
    conventions : Conventions
    data_name, data_digest : str
        File name and sha256 of the data.
    period_source, search_digest : str
        ``"search"`` or a column; digest of the search, empty for a column.
    split_windows : dict of str to int
        Windows in train, calibrate, validate, novel.
    versions : dict of str to str
    history : list of dict
        Losses and validation scores by epoch, those of the run that it started from first.
    initial_network_digest : str
        sha256 of the trained network that it started from; empty for random weights.
    """

    settings: TrainingSettings
    conventions: Conventions
    data_name: str
    data_digest: str
    period_source: str
    search_digest: str
    split_windows: dict[str, int]
    versions: dict[str, str]
    history: list[dict[str, float]]
    initial_network_digest: str = ""


def train_run(
    data: Path,
    out: Path,
    cache: Path,
    settings: TrainingSettings,
    *,
    initial: Path | None = None,
    processes: int,
    progress: Progress,
) -> RunRecord:
    """Read, split, find periods, train, and write network, learned mixture and ``record.json`` into ``out``.

    ``initial`` is the folder of a finished run to start from instead of random weights.

    Raises
    ------
    InputError
        If that run was split otherwise: stars that it trained on would validate this one.
    """
    table = read_windows(data)
    earlier: list[dict[str, float]] = []
    weights: Any = None
    mixture: Mixture | None = None
    if initial is not None:
        before, network = read_run(initial)
        found = (before.data_digest, before.settings.seed)
        if found != (table.data_digest, settings.seed):
            msg = (
                f"{initial}: trained on data {found[0][:12]} with seed {found[1]}, but this run has "
                f"{table.data_digest[:12]} and {settings.seed}; give the same data and --seed"
            )
            raise InputError(msg)
        earlier, weights = before.history, network
        mixture = read_mixture(initial, before.conventions)
    periods = periods_for(table, settings.periods, cache, processes=processes, progress=progress)
    split = split_by_star(table, settings.seed)
    sizes = {name: len(getattr(split, name)) for name in ("train", "calibrate", "validate", "novel")}
    progress(f"windows: {sizes}")
    fitted = fit(
        table,
        split,
        periods.period_days,
        settings,
        initial=weights,
        initial_mixture=mixture,
        out_dir=out,
        cache_dir=cache,
        processes=processes,
        progress=progress,
    )
    fitted.network.save(out / NETWORK)
    if fitted.mixture is not None:
        np.savez(
            out / MIXTURE,
            weights=fitted.mixture.weights,
            means=fitted.mixture.means,
            covariances=fitted.mixture.covariances,
            z_mean=fitted.mixture.z_mean,
            z_scale=fitted.mixture.z_scale,
        )
    record = RunRecord(
        # A file of periods is named by what is in it: its path means nothing to a reader.
        settings=replace(settings, periods=periods.source),
        conventions=fitted.conventions,
        data_name=data.name,
        data_digest=table.data_digest,
        period_source=periods.source,
        search_digest=periods.search_digest,
        split_windows=sizes,
        versions=versions(),
        history=earlier + [entry | {"epoch": entry["epoch"] + len(earlier)} for entry in fitted.history],
        initial_network_digest=file_digest(initial / NETWORK) if initial is not None else "",
    )
    partial = out / f"{RECORD}.partial"
    partial.write_text(json.dumps(asdict(record), indent=1) + "\n")
    os.replace(partial, out / RECORD)
    return record


def read_run(out: Path) -> tuple[RunRecord, Any]:
    """Return the record and the network of a finished run.

    Raises
    ------
    InputError
        If the folder holds no finished run.
    """
    path = out / RECORD
    try:
        record = TypeAdapter(RunRecord).validate_json(path.read_bytes())
    except FileNotFoundError as error:
        msg = f"{path} is missing: the run is not finished; run 'python -m training fit --out {out}'"
        raise InputError(msg) from error
    except ValidationError as error:
        msg = f"{path}: not the record of a run ({error.errors()[0]['loc']}: {error.errors()[0]['msg']})"
        raise InputError(msg) from error
    return record, keras.saving.load_model(out / NETWORK, compile=False)


def read_mixture(out: Path, conventions: Conventions) -> Mixture | None:
    """Return the learned mixture of a finished run; None where it is computed from z and gamma."""
    if conventions.mixture.estimator != "learned":
        return None
    try:
        with np.load(out / MIXTURE, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        return Mixture(**arrays, conventions=conventions.mixture)
    except (OSError, TypeError, ValueError) as error:
        msg = f"{out / MIXTURE}: cannot be used ({error}); run 'python -m training fit --out {out}' again"
        raise InputError(msg) from error
