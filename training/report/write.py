"""Write report.html, report.md and report.json."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator
from dataclasses import asdict
from html import escape
from pathlib import Path
from typing import Any

from training.report.figures import Drawing, all_figures
from training.report.results import Results
from training.report.table import Table
from training.report.tables import all_tables
from training.text_tables import markdown_table

_STYLE = """
:root { color-scheme: light; }
body { font: 16px/1.5 system-ui, sans-serif; color: #222; background: #fff;
  max-width: 1100px; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.2rem; margin-top: 2.2rem; }
table { border-collapse: collapse; margin: .5rem 0 1rem; font-size: .92rem; }
th, td { padding: .2rem .7rem; border-bottom: 1px solid #ddd; text-align: right; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
th { border-bottom: 2px solid #888; font-weight: 600; }
img { max-width: 100%; height: auto; } figure { margin: 1rem 0 2rem; }
figcaption, .note { color: #555; max-width: 60rem; } .wide { overflow-x: auto; }
pre { background: #f5f5f5; padding: .8rem; overflow-x: auto; font-size: .85rem; }
"""

_TITLE = "Classes and novelty of variable stars: the experiment of Tsang & Schultz (2019)"


def write_report(out: Path, results: Results) -> None:
    """Write the three files and ``figures/*.svg`` into ``out``, each replacing an earlier one in one step."""
    tables, drawings = all_tables(results), all_figures(results)
    for drawing in drawings:
        _replace(out / "figures" / f"{drawing.name}.svg", drawing.svg.decode())
    _replace(out / "report.html", _html(results, tables, drawings))
    _replace(out / "report.md", _markdown(results, tables))
    _replace(out / "report.json", json.dumps(_document(results), indent=1) + "\n")


def _replace(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, path)


def _introduction(results: Results) -> list[str]:
    summary = results.summary
    seeds = ", ".join(str(seed) for seed in results.settings["seeds"])
    warning = (
        ["Only some of the stars were used: this run shows that everything works, its figures mean nothing."]
        if results.settings["stars_per_class"]
        else []
    )
    return [
        *warning,
        f"{summary['windows']} windows of 200 epochs of {summary['stars']} stars of {summary['data_name']} "
        f"(sha256 {summary['data_digest'][:16]}). Seeds {seeds}. Periods by the stream's own search on each "
        f"window (source digest {summary['search_digest']}), unless a row says otherwise. All splits are by "
        "star, unless a row says otherwise.",
        "A spread is the standard deviation over the seeds: split, initial weights and sampling change "
        "together. Windows of one star are correlated, rare classes and NOVEL are few: read small "
        "differences as none.",
    ]


def _record(results: Results) -> str:
    return json.dumps({"settings": results.settings, "versions": results.versions}, indent=1)


def _html(results: Results, tables: list[Table], drawings: list[Drawing]) -> str:
    body = [f"<h1>{escape(_TITLE)}</h1>"]
    body += [f"<p>{escape(paragraph)}</p>" for paragraph in _introduction(results)]
    body += _html_table(tables[0])
    for drawing in drawings:
        data = base64.b64encode(drawing.svg).decode("ascii")
        caption = escape(drawing.caption)
        body.append(
            f'<figure><img alt="{caption}" src="data:image/svg+xml;base64,{data}">'
            f"<figcaption>{caption}</figcaption></figure>"
        )
    for table in tables[1:]:
        body += _html_table(table)
    body += ["<h2>Settings and versions</h2>", f"<pre>{escape(_record(results))}</pre>"]
    page = [
        "<!DOCTYPE html>",
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(_TITLE)}</title><style>{_STYLE}</style></head><body>",
        *body,
        "</body></html>",
    ]
    return "\n".join(page) + "\n"


def _html_table(table: Table) -> Iterator[str]:
    yield f'<h2>{escape(table.heading)}</h2><p class="note">{escape(table.note)}</p><div class="wide"><table>'
    yield "<tr>" + "".join(f"<th>{escape(name)}</th>" for name in table.columns) + "</tr>"
    for row in table.rows:
        yield "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>"
    yield "</table></div>"


def _markdown(results: Results, tables: list[Table]) -> str:
    lines = [f"# {_TITLE}", ""]
    for paragraph in _introduction(results):
        lines += [paragraph, ""]
    for table in tables:
        lines += [f"## {table.heading}", "", table.note, "", *markdown_table(table.columns, table.rows)]
    lines += ["## Settings and versions", "", "```json", _record(results), "```"]
    return "\n".join(lines) + "\n"


def _document(results: Results) -> dict[str, Any]:
    return {
        "data": results.summary,
        "settings": results.settings,
        "versions": results.versions,
        "models": [asdict(model) for model in results.models],
        "period_recovery": [asdict(one) for one in results.recovery],
        "period_methods": [asdict(one) for one in results.recovery_same + results.recovery_astropy],
    }
