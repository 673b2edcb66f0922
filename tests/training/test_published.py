"""The published weights under the conventions of their code give the golden arrays of that code."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from broker_plugin.model import open_scorer
from tests.shared import shared_path


@pytest.fixture(scope="module")
def golden() -> dict[str, np.ndarray]:
    """Return what the authors' unmodified code computes with the published weights."""
    with np.load(shared_path("reference/golden_forward.npz"), allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}


def test_float64_network_to_1e_10(golden: dict[str, np.ndarray]) -> None:
    """Embedding, reconstruction, z and memberships of 64 sequences, float64 throughout."""
    from training.import_published import published_network

    network = published_network(shared_path("reference/published_weights.h5"), dtype="float64")
    reconstruction, z, gamma = network.predict_on_batch([golden["X"], golden["supports"]])
    np.testing.assert_allclose(z[:, :16], golden["encoding"], rtol=0, atol=1e-10)
    np.testing.assert_allclose(reconstruction, golden["decoded"], rtol=0, atol=1e-10)
    np.testing.assert_allclose(z, golden["z"], rtol=0, atol=1e-10)
    np.testing.assert_allclose(gamma, golden["gamma"], rtol=0, atol=1e-10)


def test_onnx_within_float32(golden: dict[str, np.ndarray]) -> None:
    """The native GRU with HardSigmoid; tolerances are those measured for float32 on these sequences."""
    from broker_plugin.model import PUBLISHED_CODE
    from training.bundle_writer import session_of
    from training.import_published import published_mixture, published_network
    from training.onnx_graph import build_onnx

    network = published_network(shared_path("reference/published_weights.h5"))
    runtime = session_of(build_onnx(network, PUBLISHED_CODE))
    output = runtime.predict(golden["X"].astype(np.float32), golden["supports"].astype(np.float32))
    np.testing.assert_allclose(output.z[:, :16], golden["encoding"], rtol=0, atol=1e-5)
    np.testing.assert_allclose(output.reconstruction, golden["decoded"], rtol=0, atol=5e-5)
    np.testing.assert_allclose(output.gamma, golden["gamma"], rtol=0, atol=1e-5)
    mixture = published_mixture(shared_path("reference/published_gmm_parameters.npz"))
    np.testing.assert_allclose(mixture.energy(output.z), golden["energy_code"], rtol=1e-4, atol=5e-4)


def test_losses_of_the_authors_code(golden: dict[str, np.ndarray]) -> None:
    """Weighted error, cross-entropy and mean energy of the batch mixture, to 1e-8."""
    from keras import ops

    from training.losses import cross_entropy, mean_energy, reconstruction_loss

    with np.load(shared_path("reference/golden_backward.npz"), allow_pickle=False) as stored:
        expected = dict(zip(stored["losses_names"].tolist(), stored["losses"].tolist(), strict=True))
        labels, weight = stored["Y"].astype(np.float64), stored["sample_weight"]
    z, gamma = ops.convert_to_tensor(golden["z"]), ops.convert_to_tensor(golden["gamma"])
    error = reconstruction_loss(golden["X"], golden["decoded"], weight)
    entropy = cross_entropy(labels, gamma)
    energy = mean_energy(z, gamma, covariance_floor=1e-4, standardise=False, paper_normaliser=False)
    assert float(error) == pytest.approx(expected["time_dist_loss"], rel=1e-8)
    assert float(entropy) == pytest.approx(expected["gamma_loss"], rel=1e-8)
    assert float(energy) == pytest.approx(expected["energy_loss"], rel=1e-8)


def test_the_published_bundle_runs_like_any_other(tmp_path: Path, golden: dict[str, np.ndarray]) -> None:
    """Imported, verified, opened, and its scores from raw photometry are the golden energies."""
    from training.import_published import import_published_model

    import_published_model(
        shared_path("reference/published_weights.h5"),
        shared_path("reference/published_gmm_parameters.npz"),
        shared_path("reference/published_energies.npz"),
        tmp_path / "bundle",
    )
    scorer = open_scorer(tmp_path / "bundle")
    first_chunks = [i for i in range(64) if i == 0 or golden["seq_star"][i] != golden["seq_star"][i - 1]][:12]
    starts = np.concatenate([[0], np.cumsum(golden["star_length"])])
    windows = []
    for i in first_chunks:
        take = slice(starts[golden["seq_star"][i]], starts[golden["seq_star"][i]] + 200)
        windows.append(
            (
                golden["star_times"][take],
                golden["star_mags"][take],
                golden["star_errs"][take],
                float(golden["seq_period"][i]),
            )
        )
    scores = scorer.score(windows)
    energies = [score.energy for score in scores]
    np.testing.assert_allclose(energies, golden["energy_code"][first_chunks], rtol=1e-4, atol=5e-4)
    probabilities = np.array([score.probabilities for score in scores])
    np.testing.assert_allclose(probabilities, golden["gamma"][first_chunks], rtol=0, atol=1e-5)
    assert all(score.p_value is None for score in scores)


def test_gradients_of_the_authors_code(golden: dict[str, np.ndarray]) -> None:
    """Every gradient of the joint loss, through the batch mixture, dropout off, float64, to 1e-8."""
    tensorflow = pytest.importorskip("tensorflow", reason="the gradient is taken with TensorFlow's tape")
    from training.import_published import PUBLISHED_LAYERS, published_network
    from training.losses import cross_entropy, mean_energy, reconstruction_loss

    network = published_network(shared_path("reference/published_weights.h5"), dtype="float64")
    with np.load(shared_path("reference/golden_backward.npz"), allow_pickle=False) as stored:
        expected = {name: stored[name] for name in stored.files}
    with tensorflow.GradientTape() as tape:
        reconstruction, z, gamma = network([golden["X"], golden["supports"]], training=False)
        loss = (
            reconstruction_loss(golden["X"], reconstruction, expected["sample_weight"])
            + cross_entropy(expected["Y"].astype(np.float64), gamma)
            + 1e-3 * mean_energy(z, gamma, covariance_floor=1e-4, standardise=False, paper_normaliser=False)
        )
    variables = network.trainable_variables
    gradients = tape.gradient(loss, [variable.value for variable in variables])
    compared = 0
    for variable, gradient in zip(variables, gradients, strict=True):
        # "encode_0/gru_cell/kernel" or "encoding/kernel", whichever layer it is
        parts = variable.path.split("/")
        layer = next(part for part in parts if part in PUBLISHED_LAYERS)
        weight = parts[-1]
        golden_gradient = expected[f"grad/{PUBLISHED_LAYERS[layer]}/{weight}"]
        scale = np.abs(golden_gradient).max()
        np.testing.assert_allclose(
            gradient, golden_gradient, rtol=0, atol=1e-8 * scale, err_msg=variable.path
        )
        compared += 1
    assert compared == 20
