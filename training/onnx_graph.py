"""The serving graph, built operator by operator with ONNX's native GRU.

Keras' own export turns each GRU into a Loop, several times slower for single windows. Here a GRU is one
operator: gates z, r, h in both; ``linear_before_reset`` is Keras' ``reset_after``; Keras 2's hard sigmoid is
``HardSigmoid(alpha=0.2, beta=0.5)``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from broker_plugin.model.conventions import Conventions

_OPSET = 17  # ONNX Runtime 1.13 and later
_IR_VERSION = 9


def build_onnx(network: Any, conventions: Conventions) -> onnx.ModelProto:
    """Return the graph of a Keras network built by :func:`training.network.build_network`.

    Inputs ``sequence (n, L, 2)`` and ``auxiliary (n, k)``; outputs ``z (n, l)``, ``gamma (n, K)`` and
    ``reconstruction (n, L)``; all float32.
    """
    graph = _Graph()
    shape = conventions.network
    length = shape.sequence_length

    def weights(layer: str) -> list[npt.NDArray[np.float32]]:
        return [np.asarray(value, dtype=np.float32) for value in network.get_layer(layer).get_weights()]

    def gru(layer: str, steps: str) -> tuple[str, str]:
        return graph.gru(layer, steps, weights(layer), conventions)

    def dense(layer: str, x: str) -> str:
        kernel, bias = weights(layer)
        return graph.add(
            "Gemm", [x, graph.constant(f"{layer}_k", kernel), graph.constant(f"{layer}_b", bias)]
        )

    steps = graph.add("Transpose", ["sequence"], perm=[1, 0, 2])  # (L, n, 2), as the operator wants it
    hidden, _ = gru("encode_0", steps)
    _, last = gru("encode_1", hidden)
    if shape.auxiliary_hidden:
        beside = "auxiliary"
        for number in range(len(shape.auxiliary_hidden)):
            linear = dense(f"auxiliary_{number}", beside)
            beside = graph.add("Mul", [linear, graph.add("Sigmoid", [linear])])  # SiLU
        last = graph.add("Concat", [last, beside], axis=1)
    embedding = dense("encoding", last)

    lags = graph.slice(steps, axis=2, start=0, end=1)
    one_step = graph.add("Unsqueeze", [embedding, graph.integers("axis_0", [0])])
    repeated = graph.add("Tile", [one_step, graph.integers("repeats", [length, 1, 1])])
    hidden, _ = gru("decode_0", graph.add("Concat", [lags, repeated], axis=2))
    hidden, _ = gru("decode_1", hidden)
    kernel, bias = weights("decoded")
    product = graph.add("MatMul", [hidden, graph.constant("decoded_k", kernel)])
    decoded = graph.add("Add", [product, graph.constant("decoded_b", bias)])
    by_sequence = graph.add("Transpose", [decoded], perm=[1, 0, 2])
    graph.add("Squeeze", [by_sequence, graph.integers("axis_2", [2])], output="reconstruction")

    features = _reconstruction_features(graph, conventions)
    z_auxiliary = "auxiliary"
    if conventions.auxiliary_in_z < len(conventions.input.auxiliary):
        z_auxiliary = graph.slice("auxiliary", axis=1, start=0, end=conventions.auxiliary_in_z)
    graph.add("Concat", [embedding, features, z_auxiliary], output="z", axis=1)
    estimation = graph.add("Tanh", [dense("estimation", "z")])
    graph.add("Softmax", [dense("gamma", estimation)], output="gamma", axis=1)

    return graph.finish(
        inputs={"sequence": ["n", length, 2], "auxiliary": ["n", len(conventions.input.auxiliary)]},
        outputs={
            "z": ["n", conventions.z_size],
            "gamma": ["n", shape.n_classes],
            "reconstruction": ["n", length],
        },
    )


def _reconstruction_features(graph: _Graph, conventions: Conventions) -> str:
    """Add Eq. 2; returns the name of a tensor of shape (n, 2)."""
    shape = conventions.network
    epsilon = graph.constant("epsilon", np.array(shape.reconstruction_epsilon, dtype=np.float32))
    column = graph.slice("sequence", axis=2, start=1, end=2)
    x = graph.add("Squeeze", [column, graph.integers("axis_2", [2])])
    norm_x = graph.norm(x)
    distance = graph.norm(graph.add("Sub", [x, "reconstruction"]))
    euclidean = graph.add("Div", [distance, graph.add("Add", [norm_x, epsilon])])
    axis_1 = graph.integers("axis_1", [1])
    product = graph.add("ReduceSum", [graph.add("Mul", [x, "reconstruction"]), axis_1], keepdims=1)
    norms = graph.add("Mul", [norm_x, graph.norm("reconstruction")])
    cosine = graph.add("Div", [product, graph.add("Add", [norms, epsilon])])
    if shape.cosine_feature == "half_one_minus_cosine":
        one = graph.constant("one", np.array(1.0, dtype=np.float32))
        half = graph.constant("half", np.array(0.5, dtype=np.float32))
        cosine = graph.add("Mul", [half, graph.add("Sub", [one, cosine])])
    return graph.add("Concat", [euclidean, cosine], axis=1)


class _Graph:
    """Collects nodes and constants, and names what has no name."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[str, onnx.TensorProto] = {}

    def add(self, operator: str, inputs: list[str], *, output: str | None = None, **attributes: Any) -> str:
        """Add a node with one output and return the output's name."""
        name = output or f"{operator.lower()}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(operator, inputs, [name], **attributes))
        return name

    def constant(self, name: str, value: npt.NDArray[Any]) -> str:
        """Add a constant, once for each name."""
        self._constants.setdefault(name, numpy_helper.from_array(value, name))
        return name

    def integers(self, name: str, values: list[int]) -> str:
        """Add a column of int64."""
        return self.constant(name, np.array(values, dtype=np.int64))

    def slice(self, x: str, *, axis: int, start: int, end: int) -> str:
        """Take ``start:end`` along an axis."""
        bounds = [self.integers(f"{kind}_{value}", [value]) for kind, value in (("at", start), ("at", end))]
        return self.add("Slice", [x, *bounds, self.integers(f"axis_{axis}", [axis])])

    def norm(self, x: str) -> str:
        """Take the Euclidean norm along axis 1, kept."""
        squares = self.add("ReduceSum", [self.add("Mul", [x, x]), self.integers("axis_1", [1])], keepdims=1)
        return self.add("Sqrt", [squares])

    def gru(
        self, layer: str, steps: str, weights: list[npt.NDArray[np.float32]], conventions: Conventions
    ) -> tuple[str, str]:
        """Add a GRU over (L, n, i); returns (L, n, H) of all steps and (n, H) of the last."""
        kernel, recurrent, bias = weights
        hidden = recurrent.shape[0]
        # Keras: (2, 3H) with reset_after, input bias first; (3H,) without, and no recurrent bias.
        biases = bias if bias.ndim == 2 else np.stack([bias, np.zeros_like(bias)])
        inputs = [
            steps,
            self.constant(f"{layer}_w", np.ascontiguousarray(kernel.T[None])),
            self.constant(f"{layer}_r", np.ascontiguousarray(recurrent.T[None])),
            self.constant(f"{layer}_b", biases.reshape(1, -1)),
        ]
        attributes: dict[str, Any] = {
            "hidden_size": hidden,
            "linear_before_reset": int(conventions.network.gru_reset_after),
        }
        if conventions.network.recurrent_activation == "hard_sigmoid_0.2":
            attributes |= {
                "activations": ["HardSigmoid", "Tanh"],
                "activation_alpha": [0.2],
                "activation_beta": [0.5],
            }
        every, last = f"{layer}_every", f"{layer}_last"
        self._nodes.append(helper.make_node("GRU", inputs, [every, last], name=layer, **attributes))
        every_step = self.add("Squeeze", [every, self.integers("axis_1", [1])])
        last_step = self.add("Squeeze", [last, self.integers("axis_0", [0])])
        return every_step, last_step

    def finish(
        self, inputs: dict[str, list[int | str]], outputs: dict[str, list[int | str]]
    ) -> onnx.ModelProto:
        """Return the checked model."""
        graph = helper.make_graph(
            self._nodes,
            "tsang_schultz",
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs.items()],
            [
                helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
                for name, shape in outputs.items()
            ],
            initializer=list(self._constants.values()),
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)])
        model.ir_version = _IR_VERSION
        onnx.checker.check_model(model, full_check=True)
        return model
