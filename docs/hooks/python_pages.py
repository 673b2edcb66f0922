"""A page for each package of the Python API; mkdocstrings fills them from the docstrings."""

from __future__ import annotations

import ast
from pathlib import Path

# `cli` is the command line's own page; what is below it is nobody's interface.
_LEFT_OUT = {"cli", "bundles", "schemas"}

_INDEX = """# Python

Every part of the stream can be used by itself: the domain code does no I/O beyond its own data files.
Names that begin with an underscore are not part of the interface.

| package | what it is |
|---|---|
"""


def texts(root: Path) -> dict[str, str]:
    """Return the pages by their place."""
    pages, rows = {}, []
    for path in sorted((root / "broker_plugin").iterdir()):
        name = path.stem
        source = path / "__init__.py" if path.is_dir() else path
        if name in _LEFT_OUT or name.startswith("_") or source.suffix != ".py" or not source.exists():
            continue
        # A package that names its interface is shown by it; another one by all its modules.
        submodules = path.is_dir() and "__all__" not in source.read_text()
        options = f"    options:\n      show_submodules: {str(submodules).lower()}\n"
        summary = (ast.get_docstring(ast.parse(source.read_text())) or "").split("\n\n")[0].replace("\n", " ")
        summary = summary.replace("``", "`").replace("|", "\\|")
        rows.append(f"| [`broker_plugin.{name}`]({name}.md) | {_without_roles(summary)} |\n")
        pages[f"reference/python/{name}.md"] = (
            f"# broker_plugin.{name}\n\n::: broker_plugin.{name}\n{options}"
        )
    pages["reference/python/index.md"] = _INDEX + "".join(rows)
    return pages


def _without_roles(summary: str) -> str:
    """Turn Sphinx's ``:class:`Name``` into plain code."""
    for role in (":class:", ":mod:", ":func:", ":data:", ":meth:", ":attr:"):
        summary = summary.replace(role, "")
    return summary
