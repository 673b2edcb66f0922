"""New thresholds and p-values for a survey from its own windows, without training."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from broker_plugin.errors import InputError
from broker_plugin.model import Bundle, open_scorer
from broker_plugin.model.bundle import MANIFEST
from broker_plugin.model.calibration import Calibration as PValues
from broker_plugin.model.manifest import Manifest, Thresholds
from training.assemble import recalibrated
from training.periods import SEARCH, periods_for
from training.sample_shift import FeatureShift, feature_shifts
from training.sample_windows import read_sample
from training.scored import ScoredWindows, score_windows
from training.text_tables import markdown_table

Progress = Callable[[str], None]

_LEAST_WINDOWS = 200  # p = 0.01 rests on two of them
_CHECK_LEVELS = (0.01, 0.05)


@dataclass(frozen=True, slots=True)
class Calibration:
    """What a calibration found.

    Attributes
    ----------
    parent, parent_digest : str
        Name and version, digest of the manifest.
    windows_name, windows_digest : str
    n_windows, n_stars, n_left_out : int
    labelled : bool
        Whether stars of other kinds could be left out by their label.
    trimmed : float
        Fraction of the highest energies that was left out as perhaps no ordinary stars.
    thresholds_before, thresholds_after : Thresholds
    called_novel_before : float
        Fraction of the sample that the parent calls novel.
    p_at_most_before : dict of str to float
        Fraction of the sample with a p-value of the parent of at most the key.
    p_at_most_across : dict of str to float
        The same for p-values from one half of the *stars*, on the other half: what the new ones are worth.
    shifts : list of FeatureShift
        Sorted, the most shifted first.
    """

    parent: str
    parent_digest: str
    windows_name: str
    windows_digest: str
    n_windows: int
    n_stars: int
    n_left_out: int
    labelled: bool
    trimmed: float
    thresholds_before: Thresholds
    thresholds_after: Thresholds
    called_novel_before: float
    p_at_most_before: dict[str, float]
    p_at_most_across: dict[str, float]
    shifts: list[FeatureShift]


def calibrate(
    bundle: Path,
    windows: Path,
    out: Path,
    cache: Path,
    *,
    version: str | None = None,
    trim: float = 0.0,
    processes: int = 1,
    progress: Progress = lambda _: None,
) -> Calibration:
    """Write a bundle with the same network and mixture, and thresholds and p-values of another sample.

    In this order: 1. the sample is scored with periods of the stream's search, 2. it is compared with the
    training, 3. the files are written, the manifest last.

    Parameters
    ----------
    bundle, windows, out, cache : Path
        The parent; a sample (see :mod:`training.sample_windows`); the new directory; kept periods.
    version : str, optional
        Of the new bundle; default: the parent's with ``+`` and the sample's digest.
    trim : float
        Fraction of the highest energies to leave out. An unlabelled sample holds some windows that *are*
        novel; they make the p-values of all others a little too large, which is the safe side.

    Raises
    ------
    InputError
        If the sample is too small or unusable, or ``out`` holds something else.
    """
    scorer = open_scorer(bundle)
    parent = scorer.bundle
    _check_out(out, parent)
    sample = read_sample(windows)
    index = np.flatnonzero(sample.ordinary)
    if len(index) < _LEAST_WINDOWS:
        msg = (
            f"{windows}: {len(index)} windows to calibrate on; expected at least {_LEAST_WINDOWS}: "
            "with fewer a p-value of 0.01 means nothing"
        )
        raise InputError(msg)
    found = periods_for(sample.table, SEARCH, cache, index=index, processes=processes, progress=progress)
    scored = score_windows(scorer, sample.table, found.period_days, index, progress)
    kept = scored.take(np.argsort(scored.energy, kind="stable")[: len(scored) - round(trim * len(scored))])
    calibrated = recalibrated(parent, kept.energy, kept.predicted)
    provenance = dataclasses.replace(
        calibrated.manifest.provenance,
        period_source=found.source,
        search_digest=found.search_digest,
        calibration_name=windows.name,
        calibration_digest=sample.table.data_digest,
        parent_digest=parent.digest,
    )
    manifest = dataclasses.replace(
        calibrated.manifest,
        version=version or f"{parent.manifest.version}+{sample.table.data_digest[:8]}",
        provenance=provenance,
    )
    calibrated = dataclasses.replace(calibrated, manifest=manifest)
    report = _report(parent, calibrated, scored, kept, trim=trim, labelled=sample.labelled)
    report = dataclasses.replace(
        report,
        windows_name=windows.name,
        windows_digest=sample.table.data_digest,
        n_left_out=sample.n_left_out,
    )
    _write(bundle, out, calibrated, report)
    return report


def calibration_text(report: Calibration) -> str:
    """Return a calibration as a page of Markdown."""
    before, after = report.thresholds_before, report.thresholds_after
    words = "by their labels none NOVEL" if report.labelled else "unlabelled: some may be novel"
    lines = [
        f"Calibrated {report.parent} on {report.n_windows} windows of {report.n_stars} stars of "
        f"{report.windows_name} ({words}; {report.n_left_out} left out as unusable; the highest "
        f"{100 * report.trimmed:g} % trimmed).",
        "",
        *markdown_table(
            ("energy", "before", "now"),
            [
                ("80th percentile", f"{before.percentile_80:.3f}", f"{after.percentile_80:.3f}"),
                ("95th percentile", f"{before.percentile_95:.3f}", f"{after.percentile_95:.3f}"),
                ("called novel from", f"{before.novel:.3f}", f"{after.novel:.3f}"),
            ],
        ),
        f"The parent called {100 * report.called_novel_before:.1f} % of these windows novel.",
        "",
        *markdown_table(
            ("p-value at most", "with the parent", "now, half of the stars on the other half"),
            [
                (level, f"{report.p_at_most_before[level]:.4f}", f"{report.p_at_most_across[level]:.4f}")
                for level in report.p_at_most_across
            ],
        ),
        "How far the sample is from the training (population stability index):",
        "",
        *markdown_table(
            ("feature", "index", "by chance", ""),
            [
                (shift.name, f"{shift.stability_index:.3f}", f"{shift.expected:.3f}", shift.verdict)
                for shift in report.shifts
            ],
        ),
    ]
    shifted = sum(shift.verdict == "shifted" for shift in report.shifts)
    if shifted:
        lines.append(
            f"{shifted} of {len(report.shifts)} features are shifted. Calibration makes the *rate* of "
            "novelties right, not classes that the network has not learnt to see in such data."
        )
    return "\n".join(lines)


def _report(
    parent: Bundle,
    calibrated: Bundle,
    scored: ScoredWindows,
    kept: ScoredWindows,
    *,
    trim: float,
    labelled: bool,
) -> Calibration:
    before = parent.manifest.thresholds
    shifts = feature_shifts(parent, scored)
    return Calibration(
        parent=f"{parent.manifest.name} {parent.manifest.version}",
        parent_digest=parent.digest,
        windows_name="",
        windows_digest="",
        n_windows=len(kept),
        n_stars=len(set(kept.star_id.tolist())),
        n_left_out=0,
        labelled=labelled,
        trimmed=trim,
        thresholds_before=before,
        thresholds_after=calibrated.manifest.thresholds,
        called_novel_before=float(np.mean(scored.energy >= before.novel)),
        p_at_most_before={f"{level:g}": float(np.mean(scored.p_value <= level)) for level in _CHECK_LEVELS},
        p_at_most_across=_across_halves(kept),
        shifts=sorted(shifts, key=lambda shift: -shift.stability_index),
    )


def _across_halves(scored: ScoredWindows) -> dict[str, float]:
    """Return the rates of p-values that one half of the stars gives the other, both ways."""
    half = np.random.default_rng(0).permutation(int(scored.group.max()) + 1)[scored.group] % 2 == 0
    p_values = np.empty(len(scored))
    for calibrate_on in (half, ~half):
        of_half, others = scored.take(calibrate_on), scored.take(~calibrate_on)
        order = np.argsort(of_half.energy, kind="stable")
        rule = PValues(of_half.energy[order], of_half.predicted[order])
        p_values[~calibrate_on] = [
            rule.p_value(energy, int(predicted))
            for energy, predicted in zip(others.energy.tolist(), others.predicted, strict=True)
        ]
    return {f"{level:g}": float(np.mean(p_values <= level)) for level in _CHECK_LEVELS}


def _check_out(out: Path, parent: Bundle) -> None:
    """Refuse the parent's own directory and one that holds something else."""
    if out.resolve() == parent.path.resolve():
        msg = f"{out}: is the bundle itself; give a new directory, so that the old one can be gone back to"
        raise InputError(msg)
    names = {*parent.manifest.sha256, MANIFEST}
    foreign = sorted(entry.name for entry in out.iterdir() if entry.name not in names) if out.exists() else []
    if foreign:
        msg = f"{out}: holds {foreign[0]!r}, which is no part of a bundle; give a new directory"
        raise InputError(msg)


def _write(source: Path, out: Path, calibrated: Bundle, report: Calibration) -> None:
    """Copy the parent's files, with new arrays, report and card; the manifest last."""
    out.mkdir(parents=True, exist_ok=True)
    (out / MANIFEST).unlink(missing_ok=True)
    files = {name: (source / name).read_bytes() for name in calibrated.manifest.sha256}
    with np.load(io.BytesIO(files["mixture.npz"]), allow_pickle=False) as stored:
        arrays: dict[str, Any] = {name: stored[name] for name in stored.files}
    arrays["energy_quantiles"] = calibrated.energy_quantiles
    arrays["calibration_energies"] = calibrated.calibration_energies
    arrays["calibration_classes"] = calibrated.calibration_classes
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    files["mixture.npz"] = buffer.getvalue()
    document = json.loads(files["report.json"]) | {"calibration": asdict(report)}
    files["report.json"] = (json.dumps(document, indent=1) + "\n").encode()
    card = files["MODEL_CARD.md"].decode().rstrip()
    files["MODEL_CARD.md"] = f"{card}\n\n## Calibrated anew\n\n{calibration_text(report)}\n".encode()
    for name, content in files.items():
        (out / name).write_bytes(content)
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    manifest: Manifest = dataclasses.replace(calibrated.manifest, sha256=digests)
    (out / MANIFEST).write_text(json.dumps(asdict(manifest), indent=1) + "\n")
