"""The graph built by hand computes what Keras computes, in every variant of the conventions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from broker_plugin.features import STRUCTURE_FEATURES
from broker_plugin.model.conventions import OURS, PUBLISHED_CODE, Conventions


def small(conventions: Conventions) -> Conventions:
    """Return the variant with 30 steps and 12 units."""
    network = replace(conventions.network, sequence_length=30, hidden_size=12, embedding_size=4)
    return replace(conventions, network=network)


def with_structure() -> Conventions:
    """Return our variant with six auxiliary features, two of them in z."""
    names = tuple(STRUCTURE_FEATURES)[:6]
    inputs = replace(OURS.input, auxiliary=names, auxiliary_mean=(0.0,) * 6, auxiliary_scale=(1.0,) * 6)
    network = replace(OURS.network, auxiliary_in_z=2, auxiliary_hidden=(7, 5), estimation_size=9)
    return small(replace(OURS, input=inputs, network=network))


@pytest.mark.parametrize(
    "conventions",
    [small(OURS), small(PUBLISHED_CODE), with_structure()],
    ids=["paper", "published", "structure"],
)
def test_graph_equals_keras(conventions: Conventions) -> None:
    """Random weights, biases included, on random sequences."""
    from training.bundle_writer import session_of
    from training.network import build_network
    from training.onnx_graph import build_onnx

    network = build_network(conventions, seed=3)
    rng = np.random.default_rng(3)
    for variable in network.trainable_variables:
        variable.assign(rng.normal(scale=0.4, size=variable.shape).astype(np.float32))
    sequence = rng.normal(size=(9, 30, 2)).astype(np.float32)
    auxiliary = rng.normal(size=(9, len(conventions.input.auxiliary))).astype(np.float32)
    reconstruction, z, gamma = network.predict_on_batch([sequence, auxiliary])
    graph = build_onnx(network, conventions)
    assert [node.op_type for node in graph.graph.node].count("GRU") == 4
    assert "Loop" not in {node.op_type for node in graph.graph.node}
    output = session_of(graph).predict(sequence, auxiliary)
    np.testing.assert_allclose(output.reconstruction, reconstruction, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(output.z, z, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(output.gamma, gamma, rtol=1e-4, atol=1e-5)
