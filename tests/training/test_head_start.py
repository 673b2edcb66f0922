"""The head start trains the network's own layers, on what its own encoder says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from broker_plugin.features import STRUCTURE_FEATURES
from broker_plugin.model.conventions import OURS


def test_heads_compute_what_the_network_computes() -> None:
    """Encoder states through the heads give the z and gamma of the whole network; weights are shared."""
    from training.head_start import build_heads, encoder_states
    from training.network import Regularisation, build_network

    names = tuple(STRUCTURE_FEATURES)[:5]
    conventions = replace(
        OURS,
        input=replace(OURS.input, auxiliary=names, auxiliary_mean=(0.0,) * 5, auxiliary_scale=(1.0,) * 5),
        network=replace(
            OURS.network,
            sequence_length=20,
            hidden_size=8,
            embedding_size=4,
            auxiliary_in_z=2,
            auxiliary_hidden=(6,),
            estimation_size=7,
        ),
    )
    network = build_network(conventions, seed=1)
    rng = np.random.default_rng(1)
    arrays = {
        "sequence": rng.normal(size=(11, 20, 2)).astype(np.float32),
        "auxiliary": rng.normal(size=(11, 5)).astype(np.float32),
    }
    heads = build_heads(network, conventions, Regularisation(), seed=1)
    hidden, given = encoder_states(network, arrays)
    assert hidden.shape == (11, 8)
    _, z, gamma = network.predict_on_batch([arrays["sequence"], arrays["auxiliary"]])
    heads_z, heads_gamma = heads.predict_on_batch([hidden, arrays["auxiliary"], given])
    np.testing.assert_allclose(heads_z, z, atol=1e-5)
    np.testing.assert_allclose(heads_gamma, gamma, atol=1e-5)

    network.get_layer("encoding").set_weights([w + 1 for w in network.get_layer("encoding").get_weights()])
    moved = heads.predict_on_batch([hidden, arrays["auxiliary"], given])[0]
    assert np.abs(moved - heads_z)[:, :4].min() > 1e-3
