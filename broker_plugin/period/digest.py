"""Which search found a period: models and calibrations belong to the search that they were made with."""

from __future__ import annotations

import ast
import hashlib
import importlib.resources
from dataclasses import asdict

from broker_plugin.period.settings import PeriodSettings

_THIS = "digest.py"  # finds no period
_SAME_PERIODS = frozenset({"85f489eec665", "3872ed8f5b68"})
"""Searches that find the same: of 20 587 real windows (ASAS, all classes) all periods to 4e-6, which of them
are significant, and log10 of their false-alarm probabilities to 0.02. ``python -m benchmarks.same_periods``
compares two versions."""


def another_search(digest: str) -> str | None:
    """Say what it means that a model was calibrated with periods of this search.

    None if it is today's, or one that finds the same periods. An empty digest is of a model that no search
    was used for.
    """
    today = search_digest()
    if digest in ("", today) or {digest, today} <= _SAME_PERIODS:
        return None
    return (
        f"energies and p-values were calibrated with the period search {digest}, the stream runs {today}; "
        "'python -m training calibrate' brings them together"
    )


def search_digest(settings: PeriodSettings | None = None) -> str:
    """Return a short digest of the search: the code of its package and its settings.

    Comments, docstrings, layout and imports do not count: they find no other period.
    """
    digest = hashlib.sha256(repr(sorted(asdict(settings or PeriodSettings()).items())).encode())
    package = importlib.resources.files("broker_plugin.period")
    for entry in sorted(package.iterdir(), key=lambda entry: entry.name):
        if entry.name.endswith(".py") and entry.name != _THIS:
            digest.update(_code_of(entry.read_text()).encode())
        elif entry.name.endswith(".json"):
            digest.update(entry.read_bytes())
    return digest.hexdigest()[:12]


def _code_of(source: str) -> str:
    """Return Python code without comments, docstrings and imports, in one layout."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [  # type: ignore[attr-defined]
                statement
                for statement in body
                if not isinstance(statement, ast.Import | ast.ImportFrom)
                and not (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant))
            ]
    return ast.unparse(tree)
