"""A model bundle: a directory whose every file is verified before anything is scored with it.

``manifest.json``, ``network.keras``, ``network.onnx``, ``mixture.npz`` (mixture, quantiles of the training
energies, calibration energies), ``golden.npz`` (windows and what this model must say of them),
``report.json``, ``MODEL_CARD.md``; optional: ``stars.npz`` (z of the training windows) and ``reference.json``
(distributions of the features over them). No pickle anywhere.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import TypeAdapter, ValidationError

from broker_plugin import drift
from broker_plugin.drift import Distribution
from broker_plugin.errors import BundleError
from broker_plugin.features.external import names_among
from broker_plugin.model.manifest import FORMAT_VERSION, Manifest
from broker_plugin.model.mixture import Mixture
from broker_plugin.model.reference_stars import ReferenceStars
from broker_plugin.records.epoch import Float32Array, FloatArray

MANIFEST = "manifest.json"
FILES = ("network.keras", "network.onnx", "mixture.npz", "golden.npz", "report.json", "MODEL_CARD.md")
"""The files that the manifest lists with their sha256."""

STARS = "stars.npz"
REFERENCE = "reference.json"
OPTIONAL_FILES = (STARS, REFERENCE)
"""Files that are verified where the manifest lists them."""

SHIPPED_BUNDLES = ("default", "paper")
"""Names of the bundles inside the package: ours, and one with the features and the losses of the paper."""

_SHIPPED = Path(__file__).resolve().parent.parent / "bundles"

_MIXTURE_ARRAYS = (
    "weights",
    "means",
    "covariances",
    "z_mean",
    "z_scale",
    "energy_quantiles",
    "calibration_energies",
)
_OPTIONAL_ARRAYS = ("calibration_classes",)
_OPTIONAL_GOLDEN = ("external",)


@dataclass(frozen=True, slots=True)
class GoldenVectors:
    """Synthetic windows, and what the bundle's model says of them.

    Attributes
    ----------
    time_mjd : ndarray, shape (n, L), float64
    mag, magerr : ndarray, shape (n, L), float32
    period_days : ndarray, shape (n,), float64
    probabilities : ndarray, shape (n, K), float64
    energy : ndarray, shape (n,), float64
    reconstruction_mag : ndarray, shape (n, L), float64
        In time order.
    external : ndarray, shape (n, e), float64
        Of the external features that the conventions name, in the order of
        :data:`broker_plugin.features.external.EXTERNAL`; NaN where missing. No column where there are none.
    """

    time_mjd: FloatArray
    mag: Float32Array
    magerr: Float32Array
    period_days: FloatArray
    probabilities: FloatArray
    energy: FloatArray
    reconstruction_mag: FloatArray
    external: FloatArray = field(default_factory=lambda: np.empty((0, 0)))


@dataclass(frozen=True, slots=True)
class Bundle:
    """A verified bundle.

    Attributes
    ----------
    path : Path
    digest : str
        sha256 of the manifest, which holds the digests of everything else: names the model exactly.
    manifest : Manifest
    mixture : Mixture
    energy_quantiles : ndarray, shape (q,), float64
        Training energies at q equally spaced percentiles from 0 to 100.
    calibration_energies : ndarray, shape (c,), float64
        Energies of held-out known stars, increasing; empty when the bundle is not calibrated.
    golden : GoldenVectors
    calibration_classes : ndarray, shape (c,), int64
        Predicted class of each calibration energy; empty where p-values do not look at the class.
    reference_stars : ReferenceStars or None
        Training windows in z.
    reference : mapping of str to Distribution
        Distributions of named features over the training windows; empty without ``reference.json``.
    """

    path: Path
    digest: str
    manifest: Manifest
    mixture: Mixture
    energy_quantiles: FloatArray
    calibration_energies: FloatArray
    golden: GoldenVectors
    calibration_classes: npt.NDArray[np.int64] = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    reference_stars: ReferenceStars | None = None
    reference: Mapping[str, Distribution] = field(default_factory=dict)


def bundle_path(name: str) -> Path:
    """Return the folder of a bundle as the configuration names it: shipped with the package, or a path."""
    return _SHIPPED / name if name in SHIPPED_BUNDLES else Path(name)


def default_bundle_path() -> Path:
    """Return the bundle that is used where none is named."""
    return bundle_path("default")


def load_bundle(path: Path) -> Bundle:
    """Read and verify a bundle. The network itself is opened by :func:`broker_plugin.model.open_scorer`.

    In this order: 1. the manifest is read, 2. the digest of every file is compared, 3. the arrays are read
    and their shapes compared with the conventions.

    Raises
    ------
    BundleError
        Naming the file or field, what was found and what was expected.
    """
    manifest_bytes = _read(path, MANIFEST)
    manifest = _parse_manifest(path / MANIFEST, manifest_bytes)
    contents = {name: _read(path, name) for name in manifest.sha256}
    for name, content in contents.items():
        found = hashlib.sha256(content).hexdigest()
        if found != manifest.sha256[name]:
            msg = (
                f"{path / name}: sha256 {found} but {MANIFEST} says {manifest.sha256[name]}; "
                "the file is damaged or foreign, install the bundle again"
            )
            raise BundleError(msg)
    arrays = _read_arrays(
        path / "mixture.npz", contents["mixture.npz"], _MIXTURE_ARRAYS, optional=_OPTIONAL_ARRAYS
    )
    golden_names = tuple(f.name for f in fields(GoldenVectors) if f.name not in _OPTIONAL_GOLDEN)
    golden = GoldenVectors(
        **_read_arrays(path / "golden.npz", contents["golden.npz"], golden_names, optional=_OPTIONAL_GOLDEN)
    )
    mixture = _build_mixture(path, manifest, arrays)
    quantiles, calibration = arrays["energy_quantiles"], arrays["calibration_energies"]
    calibration_classes = arrays.get("calibration_classes", np.empty(0, dtype=np.int64))
    _check_calibration(path, manifest, quantiles, calibration)
    _check_calibration_classes(path, manifest, calibration_classes)
    _check_golden(path, manifest, golden)
    _check_neighbour_weight(path, manifest)
    return Bundle(
        path=path,
        digest=hashlib.sha256(manifest_bytes).hexdigest(),
        manifest=manifest,
        mixture=mixture,
        energy_quantiles=quantiles,
        calibration_energies=calibration,
        golden=golden,
        calibration_classes=calibration_classes,
        reference_stars=_read_stars(path, manifest, contents[STARS]) if STARS in contents else None,
        reference=_read_reference(path, contents[REFERENCE]) if REFERENCE in contents else {},
    )


def _read(path: Path, name: str) -> bytes:
    try:
        return (path / name).read_bytes()
    except OSError as error:
        expected = ", ".join((MANIFEST, *FILES))
        msg = f"{path / name}: cannot be read ({error.strerror}); expected a bundle directory with {expected}"
        raise BundleError(msg) from error


def _parse_manifest(path: Path, content: bytes) -> Manifest:
    try:
        manifest = TypeAdapter(Manifest).validate_json(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "top level"
        msg = f"{path}: field {where}: {first['msg']} (found {first['input']!r:.80}); export the bundle again"
        raise BundleError(msg) from error
    if manifest.format_version != FORMAT_VERSION:
        msg = f"{path}: format_version {manifest.format_version}; expected {FORMAT_VERSION}; export it again"
        raise BundleError(msg)
    if sorted(set(manifest.sha256) - set(OPTIONAL_FILES)) != sorted(FILES):
        msg = (
            f"{path}: sha256 lists {', '.join(sorted(manifest.sha256))}; expected {', '.join(sorted(FILES))}"
            f" and perhaps {', '.join(OPTIONAL_FILES)}"
        )
        raise BundleError(msg)
    network = manifest.conventions.network
    if len(manifest.classes) != network.n_classes:
        msg = f"{path}: {len(manifest.classes)} classes; conventions.network.n_classes is {network.n_classes}"
        raise BundleError(msg)
    return manifest


def _read_arrays(
    path: Path, content: bytes, names: tuple[str, ...], *, optional: tuple[str, ...] = ()
) -> dict[str, npt.NDArray[Any]]:
    """Read exactly the named arrays, and those optional ones that are there; pickled objects are refused."""
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as stored:
            found = tuple(stored.files)
            arrays = {name: stored[name] for name in found}
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        msg = f"{path}: cannot be read as arrays ({error}); export the bundle again"
        raise BundleError(msg) from error
    if sorted(set(found) - set(optional)) != sorted(names):
        msg = f"{path}: holds {', '.join(sorted(found))}; expected {', '.join(sorted(names))}"
        raise BundleError(msg)
    for array in arrays.values():
        array.setflags(write=False)
    return arrays


def _build_mixture(path: Path, manifest: Manifest, arrays: dict[str, npt.NDArray[Any]]) -> Mixture:
    conventions = manifest.conventions
    try:
        mixture = Mixture(
            **{name: arrays[name] for name in ("weights", "means", "covariances", "z_mean", "z_scale")},
            conventions=conventions.mixture,
        )
        np.linalg.cholesky(mixture.covariances)
    except (ValueError, np.linalg.LinAlgError) as error:
        msg = f"{path / 'mixture.npz'}: {error}; expected a valid Gaussian mixture, export the bundle again"
        raise BundleError(msg) from error
    expected = (conventions.network.n_classes, conventions.z_size)
    if mixture.means.shape != expected:
        msg = f"{path / 'mixture.npz'}: means of shape {mixture.means.shape}; the conventions say {expected}"
        raise BundleError(msg)
    return mixture


def _check_calibration(
    path: Path, manifest: Manifest, quantiles: FloatArray, calibration: FloatArray
) -> None:
    for name, array in (("energy_quantiles", quantiles), ("calibration_energies", calibration)):
        if array.ndim != 1 or not np.isfinite(array).all() or (np.diff(array) < 0).any():
            msg = f"{path / 'mixture.npz'}: {name} must be one finite, increasing column"
            raise BundleError(msg)
    if len(quantiles) < 2 or len(calibration) != manifest.n_calibration:
        msg = (
            f"{path / 'mixture.npz'}: {len(quantiles)} energy_quantiles (expected at least 2), "
            f"{len(calibration)} calibration_energies (the manifest says {manifest.n_calibration})"
        )
        raise BundleError(msg)


def _check_calibration_classes(path: Path, manifest: Manifest, classes: npt.NDArray[np.int64]) -> None:
    inside = (classes >= 0) & (classes < len(manifest.classes))
    if len(classes) not in {0, manifest.n_calibration} or classes.ndim != 1 or not inside.all():
        msg = (
            f"{path / 'mixture.npz'}: calibration_classes of shape {classes.shape}; expected none, or the "
            f"index of a class for each of the {manifest.n_calibration} calibration energies"
        )
        raise BundleError(msg)


def _check_neighbour_weight(path: Path, manifest: Manifest) -> None:
    weight = manifest.neighbour_weight
    if not 0.0 <= weight < float("inf"):
        msg = f"{path / MANIFEST}: neighbour_weight {weight:g}; expected a finite number of at least 0"
        raise BundleError(msg)
    if weight and STARS not in manifest.sha256:
        msg = (
            f"{path / MANIFEST}: neighbour_weight {weight:g}, but there is no {STARS} whose stars could be "
            "neighbours; export the bundle with its reference stars, or with --neighbour-weight 0"
        )
        raise BundleError(msg)


def _read_stars(path: Path, manifest: Manifest, content: bytes) -> ReferenceStars:
    arrays = _read_arrays(path / STARS, content, ("z", "star_id", "label"))
    try:
        stars = ReferenceStars(arrays["z"], arrays["star_id"], arrays["label"].astype(np.int64))
    except ValueError as error:
        msg = f"{path / STARS}: {error}; export the bundle again"
        raise BundleError(msg) from error
    size = manifest.conventions.z_size
    known = (stars.label >= 0) & (stars.label < len(manifest.classes))
    if stars.z.shape[1] != size or not known.all():
        msg = f"{path / STARS}: z of {stars.z.shape[1]} dimensions (expected {size}), or a label of no class"
        raise BundleError(msg)
    return stars


def _read_reference(path: Path, content: bytes) -> Mapping[str, Distribution]:
    try:
        return drift.from_json(content.decode())
    except ValueError as error:
        msg = f"{path / REFERENCE}: {error}; export the bundle again"
        raise BundleError(msg) from error


def _check_golden(path: Path, manifest: Manifest, golden: GoldenVectors) -> None:
    network = manifest.conventions.network
    n_windows = len(golden.energy)
    per_epoch = (n_windows, network.sequence_length)
    expected = {
        "time_mjd": per_epoch,
        "mag": per_epoch,
        "magerr": per_epoch,
        "period_days": (n_windows,),
        "probabilities": (n_windows, network.n_classes),
        "energy": (n_windows,),
        "reconstruction_mag": per_epoch,
    }
    if names := names_among(manifest.conventions.input.auxiliary):
        expected["external"] = (n_windows, len(names))
    for name, shape in expected.items():
        found = getattr(golden, name).shape
        if n_windows < 2 or found != shape:
            msg = (
                f"{path / 'golden.npz'}: {name} has shape {found}; expected {shape} and at least two windows"
            )
            raise BundleError(msg)
