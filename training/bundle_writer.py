"""Write a bundle's directory: every file, then the manifest with their digests."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from broker_plugin import drift
from broker_plugin.errors import InputError
from broker_plugin.model.bundle import FILES, MANIFEST, OPTIONAL_FILES, REFERENCE, STARS, Bundle
from broker_plugin.model.onnx_runtime import OnnxRuntime


@dataclass(frozen=True, slots=True)
class BundleContents:
    """What a bundle is made of.

    Attributes
    ----------
    bundle : Bundle
        In memory; its manifest's digests are filled in here.
    network : keras.Model
    graph : onnx.ModelProto
    report : dict
        For ``report.json``.
    card : str
        For ``MODEL_CARD.md``.
    """

    bundle: Bundle
    network: Any
    graph: onnx.ModelProto
    report: dict[str, Any]
    card: str


def write_bundle(out: Path, contents: BundleContents) -> None:
    """Write the files of a bundle into ``out``, replacing those of an earlier bundle.

    In this order: 1. an old manifest is removed, so that a half-written directory is no bundle, 2. the files,
    3. the manifest.

    Raises
    ------
    InputError
        If ``out`` holds anything that is not part of a bundle.
    """
    out.mkdir(parents=True, exist_ok=True)
    known = (*FILES, *OPTIONAL_FILES, MANIFEST)
    foreign = sorted(entry.name for entry in out.iterdir() if entry.name not in known)
    if foreign:
        msg = f"{out}: holds {foreign[0]!r}, which is no part of a bundle; give a new directory"
        raise InputError(msg)
    for name in (MANIFEST, *OPTIONAL_FILES):
        (out / name).unlink(missing_ok=True)
    bundle = contents.bundle
    files = {
        "network.keras": keras_bytes(contents.network),
        "network.onnx": contents.graph.SerializeToString(deterministic=True),
        "mixture.npz": _npz(
            weights=bundle.mixture.weights,
            means=bundle.mixture.means,
            covariances=bundle.mixture.covariances,
            z_mean=bundle.mixture.z_mean,
            z_scale=bundle.mixture.z_scale,
            energy_quantiles=bundle.energy_quantiles,
            calibration_energies=bundle.calibration_energies,
            **(
                {"calibration_classes": bundle.calibration_classes} if len(bundle.calibration_classes) else {}
            ),
        ),
        "golden.npz": _npz(**_golden_arrays(bundle)),
        "report.json": (json.dumps(contents.report, indent=1) + "\n").encode(),
        "MODEL_CARD.md": contents.card.encode(),
    }
    if bundle.reference_stars is not None:
        stars = bundle.reference_stars
        files[STARS] = _npz(z=stars.z, star_id=stars.star_id, label=stars.label.astype(np.int8))
    if bundle.reference:
        files[REFERENCE] = drift.to_json(bundle.reference).encode()
    for name, content in files.items():
        (out / name).write_bytes(content)
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    manifest = dataclasses.replace(bundle.manifest, sha256=digests)
    (out / MANIFEST).write_text(json.dumps(dataclasses.asdict(manifest), indent=1) + "\n")


def _golden_arrays(bundle: Bundle) -> dict[str, Any]:
    """Return the arrays of the golden windows; external features only where the network has some."""
    arrays = dataclasses.asdict(bundle.golden)
    if not bundle.golden.external.size:
        del arrays["external"]
    return arrays


def session_of(graph: onnx.ModelProto, threads: int = 1) -> OnnxRuntime:
    """Open a graph that has no file yet."""
    descriptor, name = tempfile.mkstemp(suffix=".onnx")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(graph.SerializeToString())
        return OnnxRuntime(Path(name), threads)
    finally:
        Path(name).unlink()


def keras_bytes(network: Any) -> bytes:
    """Return the ``.keras`` archive of a network."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.keras"
        network.save(path)
        return path.read_bytes()


def _npz(**arrays: Any) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()
