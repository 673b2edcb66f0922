"""The dashboard and the rules as they are shipped, and the names in their PromQL."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
RUNBOOKS = DEPLOY.parent / "docs" / "runbooks"
DASHBOARD = DEPLOY / "grafana" / "broker-plugin.json"
RULES = DEPLOY / "prometheus" / "broker-plugin.rules.yml"
RULE_TESTS = DEPLOY / "prometheus" / "broker-plugin.rules.test.yml"

# Strings, label matchers, ranges, label lists, times: none of them can hold a metric's name.
_NO_NAMES = re.compile(
    r'"(?:[^"\\]|\\.)*"|\'[^\']*\'|\{[^{}]*\}|\[[^\]]*\]|\b(?:by|without|on|ignoring|group_left|group_right)'
    r"\s*\([^()]*\)|\b\d[\w.]*"
)
_WORD = re.compile(r"[A-Za-z_:][A-Za-z0-9_:]*(?!\w)(\s*\()?")
_KEYWORDS = frozenset(
    {"and", "or", "unless", "by", "without", "on", "ignoring", "offset", "bool", "inf", "nan", "atan2"}
    | {"group_left", "group_right", "start", "end"}
)


def metric_names(promql: str) -> set[str]:
    """Return the metrics that an expression reads: every word that is no function, operator or label."""
    text = promql
    while text != (text := _NO_NAMES.sub(" ", text)):  # a quoted brace first, then the braces
        pass
    words = (match for match in _WORD.finditer(text) if not match.group(1))
    return {match.group(0) for match in words if match.group(0).lower() not in _KEYWORDS}


def panels() -> list[dict[str, Any]]:
    """Return the dashboard's panels that show something."""
    return [panel for panel in json.loads(DASHBOARD.read_text())["panels"] if panel["type"] != "row"]


def queries() -> Iterator[tuple[str, str]]:
    """Yield (panel's title, PromQL) of each query of the dashboard."""
    for panel in panels():
        for target in panel["targets"]:
            yield panel["title"], target["expr"]


def rules() -> list[dict[str, Any]]:
    """Return the alert rules."""
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def named_metrics() -> set[str]:
    """Return every metric that a panel or a rule names, a histogram's series by the histogram's name."""
    variables = re.findall(r"label_values\(([a-z_]+)", DASHBOARD.read_text())
    names = set(variables).union(
        *(metric_names(query) for _, query in queries()), *(metric_names(rule["expr"]) for rule in rules())
    )
    return {re.sub(r"_(bucket|sum|count)$", "", name) for name in names}
