"""No code path of either package turns bytes into objects that run: no pickle, and nothing that hides one."""

from __future__ import annotations

import ast
import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import broker_plugin
import training
from broker_plugin.errors import BundleError
from broker_plugin.model.bundle import load_bundle

_MODULES = frozenset({"pickle", "cPickle", "_pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal"})
_CALLS = frozenset({"read_pickle", "to_pickle", "enable_unsafe_deserialization", "eval", "exec"})
_ROOTS = [Path(package.__file__).parent for package in (broker_plugin, training) if package.__file__]
_SOURCES = sorted(path for root in _ROOTS for path in root.rglob("*.py"))


def _offences(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield line and name of everything that unpickles or may."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        else:
            names = []
        yield from ((node.lineno, name) for name in names if name.split(".")[0] in _MODULES)
        if isinstance(node, ast.Call):
            yield from _call_offences(node)


def _call_offences(node: ast.Call) -> Iterator[tuple[int, str]]:
    called, owner = _names_of(node.func)
    if called in _CALLS or (called == "load" and owner == "torch"):
        yield node.lineno, called
    keywords = {keyword.arg: keyword.value for keyword in node.keywords}
    if "allow_pickle" in keywords and not _is_constant(keywords["allow_pickle"], False):
        yield node.lineno, f"{called}(allow_pickle)"
    if "safe_mode" in keywords and not _is_constant(keywords["safe_mode"], True):
        yield node.lineno, f"{called}(safe_mode)"
    if called == "load" and owner in ("np", "numpy") and "allow_pickle" not in keywords:
        yield node.lineno, "np.load without allow_pickle=False"


def _names_of(function: ast.expr) -> tuple[str, str]:
    """Return what is called, and on what: ("load", "np")."""
    if isinstance(function, ast.Attribute):
        owner = function.value
        return function.attr, owner.id if isinstance(owner, ast.Name) else ""
    return (function.id, "") if isinstance(function, ast.Name) else ("", "")


def _is_constant(node: ast.expr, value: bool) -> bool:
    return isinstance(node, ast.Constant) and node.value is value


def test_no_module_unpickles() -> None:
    """Each source of both packages, by its syntax tree."""
    assert len(_SOURCES) > 100
    found = [
        f"{path}:{line}: {name}"
        for path in _SOURCES
        for line, name in _offences(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert found == []


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from joblib import load",
        "import numpy as np\nnp.load(path)",
        "numpy.load(path, allow_pickle=True)",
        "np.load(path, allow_pickle=flag)",
        "pd.read_pickle(path)",
        "keras.models.load_model(path, safe_mode=False)",
        "eval(text)",
    ],
)
def test_what_the_search_must_find(source: str) -> None:
    """The test above can fail."""
    assert list(_offences(ast.parse(source)))


def test_a_pickle_inside_a_bundle_is_refused(tmp_path: Path) -> None:
    """Object arrays in the bundle, with digests that fit, do not run: the bundle is refused."""
    bundle = tmp_path / "bundle"
    shutil.copytree(Path(broker_plugin.__file__).parent / "bundles" / "default", bundle)
    marker = tmp_path / "it-ran"

    class Attack:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return marker.write_text, ("",)

    for name in ("mixture.npz", "golden.npz"):
        with np.load(bundle / name, allow_pickle=False) as held:
            arrays = {key: held[key] for key in held.files}
        arrays = dict.fromkeys(arrays, np.array([Attack()], dtype=object))
        np.savez(bundle / name, **arrays)
        manifest = json.loads((bundle / "manifest.json").read_text())
        manifest["sha256"][name] = hashlib.sha256((bundle / name).read_bytes()).hexdigest()
        (bundle / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(BundleError, match=r"allow_pickle=False|object array|pickle"):
        load_bundle(bundle)
    assert not marker.exists()
