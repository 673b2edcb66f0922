"""A summary as one HTML file that can be mailed: tables and pictures inside, nothing outside."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #222;
  max-width: 1240px; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.2rem; margin-top: 2.2rem; }
table { border-collapse: collapse; margin: .5rem 0 1rem; }
th, td { padding: .25rem .8rem; border-bottom: 1px solid #ddd; text-align: right; }
th:first-child, td:first-child { text-align: left; white-space: pre; }
th { border-bottom: 2px solid #888; font-weight: 600; }
img { width: 100%; height: auto; border: 1px solid #eee; }
figure { margin: 1rem 0 2rem; } figcaption { color: #555; }
.wide { overflow-x: auto; }
"""


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text under a heading; the first column is a name, the others are figures."""

    heading: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True, slots=True)
class Picture:
    """A PNG and the sentence under it."""

    path: Path
    caption: str


def write_summary_html(
    path: Path, *, title: str, introduction: str, tables: Sequence[Table], pictures: Sequence[Picture]
) -> None:
    """Write the page.

    Parameters
    ----------
    path : Path
        The HTML file; missing folders are made.
    title, introduction : str
        Plain text.
    tables, pictures : sequences
        In the order of the page.
    """
    body = [f"<h1>{escape(title)}</h1>", f"<p>{escape(introduction)}</p>"]
    for table in tables:
        body += _table(table)
    for picture in pictures:
        data = base64.b64encode(picture.path.read_bytes()).decode("ascii")
        caption = escape(picture.caption)
        body.append(
            f'<figure><img alt="{caption}" src="data:image/png;base64,{data}">'
            f"<figcaption>{caption}</figcaption></figure>"
        )
    page = [
        "<!DOCTYPE html>",
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>",
        *body,
        "</body></html>",
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(page) + "\n", encoding="utf-8")


def _table(table: Table) -> Iterator[str]:
    yield f'<h2>{escape(table.heading)}</h2><div class="wide"><table>'
    yield "<tr>" + "".join(f"<th>{escape(name)}</th>" for name in table.columns) + "</tr>"
    for row in table.rows:
        yield "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>"
    yield "</table></div>"
