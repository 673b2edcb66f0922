"""The authors' published model as a bundle (github.com/bthtsang/DeepClassifierNoveltyDetection, MIT).

Keras 2.1.6 weights in HDF5 and the mixture's parameters, under the conventions of their code.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import numpy.typing as npt

from broker_plugin.errors import InputError
from broker_plugin.model import CLASSES, PUBLISHED_CODE, Bundle
from broker_plugin.model.manifest import FORMAT_VERSION, Manifest, Provenance, Thresholds
from broker_plugin.model.mixture import Mixture
from training.assemble import no_golden, with_golden
from training.bundle_writer import BundleContents, session_of, write_bundle
from training.network import build_network
from training.onnx_graph import build_onnx
from training.windows import file_digest

PUBLISHED_LAYERS = {
    "encode_0": "encode_0",
    "encode_1": "encode_1",
    "encoding": "encoding",
    "decode_0": "decode_0",
    "decode_1": "decode_1",
    "decoded": "time_dist",
    "estimation": "estnet_layer_1",
    "gamma": "gamma",
}
"""Our layer names, theirs."""

_CARD = """# Published model of Tsang & Schultz (2019)

The weights and the mixture that the authors published, under the conventions of their code
(github.com/bthtsang/DeepClassifierNoveltyDetection, MIT). See ApJL 877, L14 and the manifest.

## Limits
- The mean magnitude is one of its features, on ASAS-SN stars: another brightness is "novel" for that alone.
- Five of sixteen embedding dimensions have collapsed onto the covariance floor and dominate the energies.
- Its M component holds bad magnitudes. Its training split was by sequence, not by star: its own figures leak.
- No p-values: no held-out stars come with it.
"""


def import_published_model(weights: Path, gmm: Path, energies: Path, out: Path) -> None:
    """Write a bundle of the published files.

    Parameters
    ----------
    weights : Path
        HDF5 of Keras 2 weights.
    gmm : Path
        npz with ``gmm_phi``, ``gmm_mu``, ``gmm_sigma``.
    energies : Path
        npz with ``energy_train``.
    out : Path

    Raises
    ------
    InputError
        If a file is missing, or lacks a layer or an array.
    """
    network = published_network(weights)
    mixture = published_mixture(gmm)
    train_energy = _arrays(energies, ("energy_train",))["energy_train"]
    # Their code gives +inf for distant training sequences; a quantile table needs numbers.
    finite = np.sort(train_energy[np.isfinite(train_energy)])
    at_80, at_95 = (float(value) for value in np.percentile(train_energy, [80, 95], method="lower"))
    graph = build_onnx(network, PUBLISHED_CODE)
    runtime = session_of(graph)
    manifest = Manifest(
        format_version=FORMAT_VERSION,
        name="tsang-schultz-published",
        version="1.0.0",
        classes=CLASSES,
        conventions=PUBLISHED_CODE,
        thresholds=Thresholds(percentile_80=at_80, percentile_95=at_95, novel=at_95),
        n_calibration=0,
        provenance=Provenance(
            created_by="python -m training import-published",
            data_name=weights.name,
            data_digest=file_digest(weights),
            period_source="catalogue",
            search_digest="",
            seed=0,
            versions={"keras": keras.__version__, "numpy": np.__version__},
            settings={},
        ),
        sha256={},
    )
    bundle = with_golden(
        Bundle(
            path=Path(),
            digest="",
            manifest=manifest,
            mixture=mixture,
            energy_quantiles=np.percentile(finite, np.linspace(0, 100, 1001)),
            calibration_energies=np.empty(0),
            golden=no_golden(),
        ),
        runtime,
    )
    write_bundle(out, BundleContents(bundle=bundle, network=network, graph=graph, report={}, card=_CARD))


def published_network(weights: Path, *, dtype: str = "float32") -> Any:
    """Return the Keras network with the published weights.

    Raises
    ------
    InputError
        If the file is missing or lacks a layer.
    """
    network = build_network(PUBLISHED_CODE, dtype=dtype)
    try:
        with h5py.File(weights) as file:
            for ours, theirs in PUBLISHED_LAYERS.items():
                group = file[theirs][theirs]
                names = ("kernel:0", "recurrent_kernel:0", "bias:0")
                network.get_layer(ours).set_weights([np.asarray(group[n]) for n in names if n in group])
    except (OSError, KeyError, ValueError) as error:
        expected = ", ".join(PUBLISHED_LAYERS.values())
        msg = f"{weights}: not the published weights ({error}); expected Keras 2 HDF5 with {expected}"
        raise InputError(msg) from error
    return network


def published_mixture(gmm: Path) -> Mixture:
    """Return the published mixture."""
    arrays = _arrays(gmm, ("gmm_phi", "gmm_mu", "gmm_sigma"))
    size = PUBLISHED_CODE.z_size
    return Mixture(
        weights=arrays["gmm_phi"],
        means=arrays["gmm_mu"],
        covariances=arrays["gmm_sigma"],
        z_mean=np.zeros(size),
        z_scale=np.ones(size),
        conventions=PUBLISHED_CODE.mixture,
    )


def _arrays(path: Path, names: tuple[str, ...]) -> dict[str, npt.NDArray[np.float64]]:
    try:
        with np.load(path, allow_pickle=False) as stored:
            return {name: np.asarray(stored[name], dtype=np.float64) for name in names}
    except (OSError, KeyError, ValueError) as error:
        msg = f"{path}: cannot be used ({error}); expected an npz with {', '.join(names)}"
        raise InputError(msg) from error
