"""A bundle is used whole and unchanged, or not at all; the message names what is wrong."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from broker_plugin.errors import BundleError
from broker_plugin.model import bundle_path, default_bundle_path, load_bundle, open_scorer
from broker_plugin.model.bundle import FILES, MANIFEST, OPTIONAL_FILES, REFERENCE, SHIPPED_BUNDLES, STARS


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """Return a writable copy of the shipped bundle."""
    copy = tmp_path / "bundle"
    shutil.copytree(default_bundle_path(), copy)
    return copy


def edit_manifest(bundle: Path, **changes: Any) -> None:
    """Change top-level fields; None removes one."""
    manifest = json.loads((bundle / MANIFEST).read_text())
    for name, value in changes.items():
        if value is None:
            del manifest[name]
        else:
            manifest[name] = value
    (bundle / MANIFEST).write_text(json.dumps(manifest))


def rewrite_npz(bundle: Path, name: str, **changes: Any) -> None:
    """Change arrays of a file and give the manifest the new digest, as a careful forger would."""
    with np.load(bundle / name, allow_pickle=False) as stored:
        arrays = {key: stored[key] for key in stored.files}
    np.savez(bundle / name, **(arrays | changes))
    manifest = json.loads((bundle / MANIFEST).read_text())
    digest = hashlib.sha256((bundle / name).read_bytes()).hexdigest()
    edit_manifest(bundle, sha256=manifest["sha256"] | {name: digest})


def test_the_shipped_bundle_loads_and_proves_itself() -> None:
    """What the package ships opens under the default runtime."""
    scorer = open_scorer(default_bundle_path())
    assert scorer.bundle.manifest.classes == ("CEPH", "DSCT", "ECL", "M", "ROT", "RRAB", "RRCD", "SR")
    assert "mean" not in scorer.bundle.manifest.conventions.input.auxiliary
    assert scorer.bundle.digest == hashlib.sha256((default_bundle_path() / MANIFEST).read_bytes()).hexdigest()


def test_serving_imports_neither_keras_nor_tensorflow() -> None:
    """A stream that serves ONNX needs no 2 GB of TensorFlow."""
    code = (
        "import sys; from broker_plugin.model import open_scorer, default_bundle_path; "
        "open_scorer(default_bundle_path()); "
        "print([m for m in ('keras', 'tensorflow', 'training', 'sklearn', 'onnx') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


@pytest.mark.parametrize("name", [*FILES, *OPTIONAL_FILES])
def test_one_changed_byte_is_found(bundle: Path, name: str) -> None:
    """A flipped bit anywhere names the file."""
    content = bytearray((bundle / name).read_bytes())
    content[len(content) // 2] ^= 1
    (bundle / name).write_bytes(bytes(content))
    with pytest.raises(BundleError, match=f"{name}: sha256"):
        load_bundle(bundle)


@pytest.mark.parametrize("name", [MANIFEST, *FILES, *OPTIONAL_FILES])
def test_a_missing_file_is_named(bundle: Path, name: str) -> None:
    """An incomplete copy says which file is missing."""
    (bundle / name).unlink()
    with pytest.raises(BundleError, match=f"{name}: cannot be read"):
        load_bundle(bundle)


def test_a_directory_that_is_not_there(tmp_path: Path) -> None:
    """A wrong path in the configuration."""
    with pytest.raises(BundleError, match="nowhere"):
        load_bundle(tmp_path / "nowhere")


def test_an_unknown_field_is_named(bundle: Path) -> None:
    """A manifest of a later version may mean something by a field that we would ignore."""
    edit_manifest(bundle, temperature=2.0)
    with pytest.raises(BundleError, match="field temperature: Unexpected keyword argument"):
        load_bundle(bundle)


def test_an_unknown_convention_is_named(bundle: Path) -> None:
    """Unknown fields deep inside are errors, too."""
    conventions = json.loads((bundle / MANIFEST).read_text())["conventions"]
    conventions["mixture"]["shrinkage"] = 0.1
    edit_manifest(bundle, conventions=conventions)
    with pytest.raises(BundleError, match=r"field conventions\.mixture\.shrinkage"):
        load_bundle(bundle)


def test_a_value_that_no_code_knows_is_named(bundle: Path) -> None:
    """Lags to the side."""
    conventions = json.loads((bundle / MANIFEST).read_text())["conventions"]
    conventions["input"]["lag"] = "sideways"
    edit_manifest(bundle, conventions=conventions)
    with pytest.raises(BundleError, match=r"field conventions\.input\.lag: .*'backward' or 'forward'"):
        load_bundle(bundle)


def test_a_missing_field_is_named(bundle: Path) -> None:
    """Thresholds left out."""
    edit_manifest(bundle, thresholds=None)
    with pytest.raises(BundleError, match="field thresholds"):
        load_bundle(bundle)


def test_another_format_is_refused(bundle: Path) -> None:
    """A format of the future."""
    edit_manifest(bundle, format_version=99)
    with pytest.raises(BundleError, match="format_version 99; expected 1"):
        load_bundle(bundle)


def test_a_manifest_that_is_no_json(bundle: Path) -> None:
    """Half a file."""
    (bundle / MANIFEST).write_text('{"format_version": 1, ')
    with pytest.raises(BundleError, match=MANIFEST):
        load_bundle(bundle)


def test_pickled_arrays_are_refused(bundle: Path) -> None:
    """An object array would run code when it is loaded."""
    rewrite_npz(bundle, "mixture.npz", weights=np.array([{"a": 1}], dtype=object))
    with pytest.raises(BundleError, match=r"mixture\.npz: cannot be read"):
        load_bundle(bundle)


def test_a_mixture_of_another_shape_is_refused(bundle: Path) -> None:
    """Seven components for eight classes."""
    with np.load(bundle / "mixture.npz") as stored:
        fewer = {name: stored[name][:7] for name in ("weights", "means", "covariances")}
    rewrite_npz(bundle, "mixture.npz", **fewer)
    with pytest.raises(BundleError, match=r"mixture\.npz: means of shape \(7, 20\)"):
        load_bundle(bundle)


def test_a_mixture_that_is_not_positive_definite_is_refused(bundle: Path) -> None:
    """A covariance that no Gaussian has."""
    with np.load(bundle / "mixture.npz") as stored:
        covariances = -stored["covariances"]
    rewrite_npz(bundle, "mixture.npz", covariances=covariances)
    with pytest.raises(BundleError, match=r"mixture\.npz"):
        load_bundle(bundle)


@pytest.mark.parametrize(
    ("name", "change", "word"),
    [("golden.npz", "energy", "energy"), ("golden.npz", "probabilities", "probabilities")],
)
def test_a_golden_mismatch_is_refused(bundle: Path, name: str, change: str, word: str) -> None:
    """Digests are right but the model says something else than it did when it was made."""
    with np.load(bundle / name) as stored:
        changed = stored[change] + 0.2
    rewrite_npz(bundle, name, **{change: changed})
    load_bundle(bundle)
    with pytest.raises(BundleError, match=f"golden window 0 scored in a batch: {word} differ by 0.2"):
        open_scorer(bundle)


def test_a_shifted_mixture_is_found_by_the_golden_windows(bundle: Path) -> None:
    """A mixture of another training run, with matching digests."""
    with np.load(bundle / "mixture.npz") as stored:
        means = stored["means"] + 0.1
    rewrite_npz(bundle, "mixture.npz", means=means)
    with pytest.raises(BundleError, match="golden window"):
        open_scorer(bundle)


def test_conventions_changed_by_hand_are_found_by_the_golden_windows(bundle: Path) -> None:
    """Forward lags under weights that were trained with backward ones."""
    conventions = json.loads((bundle / MANIFEST).read_text())["conventions"]
    conventions["input"]["lag"] = "forward"
    edit_manifest(bundle, conventions=conventions)
    with pytest.raises(BundleError, match="golden window"):
        open_scorer(bundle)


def test_a_bundle_without_optional_files_scores_without_them(tmp_path: Path) -> None:
    """Bundles of the published weights have no training stars: no neighbours, the mixture's energies."""
    bundle = tmp_path / "bundle"
    shutil.copytree(bundle_path("paper"), bundle)
    sha256 = json.loads((bundle / MANIFEST).read_text())["sha256"]
    for name in OPTIONAL_FILES:
        (bundle / name).unlink(missing_ok=True)
    edit_manifest(bundle, sha256={name: sha256[name] for name in FILES})
    scorer = open_scorer(bundle)
    assert (scorer.bundle.reference_stars, dict(scorer.bundle.reference)) == (None, {})
    golden = scorer.bundle.golden
    window = (golden.time_mjd[0], golden.mag[0], golden.magerr[0], float(golden.period_days[0]))
    score = scorer.score([window])[0]
    assert score.neighbours == ()
    assert score.energy == open_scorer(bundle_path("paper")).score([window])[0].energy


def test_neighbours_that_count_must_be_there(bundle: Path) -> None:
    """An energy with the nearest stars in it, in a bundle that lost them, is refused with the cure."""
    sha256 = json.loads((bundle / MANIFEST).read_text())["sha256"]
    (bundle / STARS).unlink()
    edit_manifest(bundle, sha256={name: sha256[name] for name in sha256 if name != STARS})
    with pytest.raises(BundleError, match=r"neighbour_weight .* no stars\.npz .* --neighbour-weight 0"):
        load_bundle(bundle)


@pytest.mark.parametrize("weight", [-1.0, float("inf")])
def test_a_neighbour_weight_out_of_bounds(bundle: Path, weight: float) -> None:
    """It is a number of at least 0."""
    edit_manifest(bundle, neighbour_weight=weight)
    with pytest.raises(BundleError, match="neighbour_weight"):
        load_bundle(bundle)


def test_a_neighbour_weight_changed_by_hand_is_found_by_the_golden_windows(bundle: Path) -> None:
    """Thresholds and p-values belong to one energy only."""
    weight = json.loads((bundle / MANIFEST).read_text())["neighbour_weight"]
    assert weight > 0
    edit_manifest(bundle, neighbour_weight=2 * weight)
    with pytest.raises(BundleError, match="golden window"):
        open_scorer(bundle)


def test_training_stars_of_another_model_are_refused(bundle: Path) -> None:
    """Their z has another size, or a label names no class."""
    with np.load(bundle / STARS) as stored:
        z, label = stored["z"], stored["label"]
    rewrite_npz(bundle, STARS, z=z[:, :5])
    with pytest.raises(BundleError, match=rf"{STARS}: z of 5 dimensions"):
        load_bundle(bundle)
    rewrite_npz(bundle, STARS, z=z, label=label + 7)
    with pytest.raises(BundleError, match=rf"{STARS}: .*label of no class"):
        load_bundle(bundle)


def test_a_reference_that_is_no_json_is_refused(bundle: Path) -> None:
    """Distributions that cannot be read are an error, not a missing metric."""
    (bundle / REFERENCE).write_text("{")
    manifest = json.loads((bundle / MANIFEST).read_text())
    digest = hashlib.sha256(b"{").hexdigest()
    edit_manifest(bundle, sha256=manifest["sha256"] | {REFERENCE: digest})
    with pytest.raises(BundleError, match=REFERENCE):
        load_bundle(bundle)


def test_calibration_classes_must_fit_the_energies(bundle: Path) -> None:
    """One class too few."""
    with np.load(bundle / "mixture.npz") as stored:
        fewer = stored["calibration_classes"][1:]
    rewrite_npz(bundle, "mixture.npz", calibration_classes=fewer)
    with pytest.raises(BundleError, match="calibration_classes"):
        load_bundle(bundle)


@pytest.mark.parametrize("name", SHIPPED_BUNDLES)
def test_shipped_bundles_prove_themselves(name: str) -> None:
    """Each is whole, below 3 MB, with its card; only the paper's has the mean magnitude."""
    path = bundle_path(name)
    conventions = open_scorer(path).bundle.manifest.conventions
    assert ("mean" in conventions.input.auxiliary) == (name == "paper")
    assert sum(file.stat().st_size for file in path.iterdir()) < 3e6
    assert "## Limits" in (path / "MODEL_CARD.md").read_text()


def test_other_names_are_folders() -> None:
    """What is no name of a shipped bundle is a path."""
    assert bundle_path("bundles/first") == Path("bundles/first")
    assert bundle_path("default") == default_bundle_path()
