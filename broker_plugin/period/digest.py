"""Which search found a period: models and calibrations belong to the search that they were made with."""

from __future__ import annotations

import ast
import hashlib
import importlib.resources
from dataclasses import asdict

from broker_plugin.period.settings import PeriodSettings

_THIS = "digest.py"  # finds no period


def another_search(digest: str) -> str | None:
    """Say what it means that a model was calibrated with periods of this search; None if it is today's.

    An empty digest is of a model that no search was used for.
    """
    today = search_digest()
    if digest in ("", today):
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
