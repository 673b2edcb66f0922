"""What MkDocs calls while it builds: pages made from the code, folders in the navigation, equations.

The pages of the reference are made here at each build and are never committed: they cannot be out of date.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cli_page
import configuration_page
import equations
import metrics_page
import project_pages
import python_pages
import schemas_page
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

_ROOT = Path(__file__).resolve().parents[2]
_TITLE = re.compile(r"^#\s+(.+)$", re.MULTILINE)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are made from the code, and write the folders of the navigation out."""
    for path, text in _generated().items():
        files.append(File.generated(config, path, content=text))
    config.nav = _written_out(config.nav or [], files)
    return files


def on_page_content(html: str, **_: Any) -> str:
    """Set the equations as pictures of themselves: readers need no script and no network."""
    return equations.set_equations(html)


def _generated() -> dict[str, str]:
    return {
        "reference/cli.md": cli_page.text(),
        "reference/configuration.md": configuration_page.text(),
        "reference/metrics.md": metrics_page.text(),
        "reference/schemas.md": schemas_page.text(_ROOT),
        **python_pages.texts(_ROOT),
        **project_pages.texts(_ROOT),
    }


def _written_out(entries: list[Any], files: Files) -> list[Any]:
    """Replace ``Title: folder/`` by the folder's pages; without any, by nothing."""
    written = []
    for entry in entries:
        if isinstance(entry, dict):
            ((title, inner),) = entry.items()
            if isinstance(inner, list):
                written.append({title: _written_out(inner, files)})
                continue
            if inner.endswith("/"):
                pages = list(_pages_below(inner, files))
                if pages:
                    written.append({title: pages})
                continue
        written.append(entry)
    return written


def _pages_below(folder: str, files: Files) -> Iterator[Any]:
    found = [f for f in files.documentation_pages() if f.src_uri.startswith(folder)]
    for file in sorted(found, key=lambda f: (not f.src_uri.endswith("/index.md"), f.src_uri)):
        match = _TITLE.search(file.content_string)
        is_index = file.src_uri.endswith("/index.md")
        yield file.src_uri if is_index or match is None else {match[1]: file.src_uri}
