"""The runtimes run the same network, and each of them gives a window the same bits in any company."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from broker_plugin.errors import BundleError
from broker_plugin.model import (
    RuntimeName,
    Scorer,
    ScoringWindow,
    bundle_path,
    default_bundle_path,
    open_runtime,
    open_scorer,
)
from broker_plugin.model.scorer import ENERGY_TOLERANCE, PROBABILITY_TOLERANCE


def opened(runtime: RuntimeName, bundle: Path | None = None, *, threads: int = 1) -> Scorer:
    """Open a bundle, the shipped one unless told; skip where the runtime is not installed."""
    extra = {"tensorflow": "[train]", "openvino": "[openvino]"}.get(runtime, "")
    # Not importorskip: openvino reports its import unless broker_plugin does it.
    if find_spec(runtime) is None:
        pytest.skip(f"{runtime} is not installed: pip install 'broker-plugin{extra}'")
    return open_scorer(bundle or default_bundle_path(), runtime, threads=threads)


@pytest.mark.parametrize("runtime", ["tensorflow", "openvino"])
@pytest.mark.parametrize("bundle", ["default", "paper"])
def test_a_runtime_agrees_with_the_default(
    runtime: RuntimeName, bundle: str, windows: list[ScoringWindow]
) -> None:
    """1e-4 on probabilities, 1e-3 on energies (relative beyond 1: far points have energies of thousands)."""
    other, ours = opened(runtime, bundle_path(bundle)), open_scorer(bundle_path(bundle))
    for one, two in zip(ours.score(windows), other.score(windows), strict=True):
        np.testing.assert_allclose(two.probabilities, one.probabilities, rtol=0, atol=PROBABILITY_TOLERANCE)
        assert two.energy == pytest.approx(one.energy, abs=ENERGY_TOLERANCE, rel=ENERGY_TOLERANCE)


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_neither_company_nor_threads_change_a_bit(runtime: RuntimeName, windows: list[ScoringWindow]) -> None:
    """What a restart or another batch size puts together gives the same annotations, to the last digit."""
    whole = opened(runtime).score(windows)
    shared = opened(runtime, threads=2)
    pieces = [shared.score(windows[start:end]) for start, end in ((0, 1), (1, 4), (4, 21), (21, 40))]
    for one, two in zip(whole, [score for piece in pieces for score in piece], strict=True):
        assert one.energy == two.energy
        for name in ("probabilities", "z", "reconstruction_mag"):
            np.testing.assert_array_equal(getattr(one, name), getattr(two, name))


@pytest.mark.parametrize(
    ("runtime", "library", "module", "extra"),
    [
        ("tensorflow", "keras", "keras_runtime", "train"),
        ("openvino", "openvino", "openvino_runtime", "openvino"),
    ],
)
def test_a_missing_runtime_is_one_clear_line(
    runtime: RuntimeName, library: str, module: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The runtime is asked for where it is not installed."""
    monkeypatch.setitem(sys.modules, library, None)
    monkeypatch.delitem(sys.modules, f"broker_plugin.model.{module}", raising=False)
    with pytest.raises(BundleError, match=rf"{library} is not installed; install broker-plugin\[{extra}\]"):
        open_runtime(default_bundle_path(), runtime)


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_a_file_that_is_no_network_is_named(runtime: RuntimeName, tmp_path: Path) -> None:
    """Damage is told with the file's path, whichever library met it."""
    if find_spec(runtime) is None:
        pytest.skip(f"{runtime} is not installed")
    (tmp_path / "network.onnx").write_bytes(b"no network")
    with pytest.raises(BundleError, match=r"network\.onnx: .* refuses the network"):
        open_runtime(tmp_path, runtime)
