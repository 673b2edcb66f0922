"""The shipped dashboard and rules: valid, complete, and each alert with its page."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections import Counter, defaultdict
from typing import Any

import pytest
import yaml

from broker_plugin.metrics import METRICS, PREFIX
from tests.observability.shipped import (
    DASHBOARD,
    RULE_TESTS,
    RULES,
    RUNBOOKS,
    metric_names,
    named_metrics,
    panels,
    queries,
    rules,
)

SECTIONS = ["Symptom", "First look", "Safe action", "What not to do"]


@pytest.mark.parametrize(
    ("promql", "names"),
    [
        (
            "sum by (le, stage) (rate(a_b_bucket{x=~\"y{z}\", n='m'}[5m])) / c_total",
            {"a_b_bucket", "c_total"},
        ),
        ("histogram_quantile(0.95, sum(rate(a[1h] offset 1d)) without (instance))", {"a"}),
        ("a > 1e3 and on (instance) b unless c or time() - d > bool 2", {"a", "b", "c", "d"}),
        ("topk(10, a) * on (x) group_left (y, z) b", {"a", "b"}),
        ("predict_linear(a:b_c[6h], 86400) < 0 or absent(d)", {"a:b_c", "d"}),
    ],
)
def test_names_are_found_in_promql(promql: str, names: set[str]) -> None:
    """Functions, operators, labels, ranges and strings are none; the tests below rest on this."""
    assert metric_names(promql) == names


def test_every_name_is_a_metric_and_every_metric_is_used() -> None:
    """A panel of a metric that does not exist is empty; a metric that nobody looks at costs for nothing."""
    ours = {name for name in named_metrics() if name.startswith(PREFIX)}
    assert ours == {PREFIX + name for name in METRICS}
    others = {"up", "process_cpu_seconds_total", "process_resident_memory_bytes", "process_open_fds"}
    assert named_metrics() - ours == others


def _differences(mine: Any, parsed: Any, path: str = "") -> list[str]:
    """Return what a parser that knows Grafana's schema has dropped or changed."""
    if isinstance(mine, dict) and isinstance(parsed, dict):
        lost = [f"{path}/{key}" for key in mine.keys() - parsed.keys()]
        return lost + [
            d for key in mine.keys() & parsed for d in _differences(mine[key], parsed[key], f"{path}/{key}")
        ]
    if isinstance(mine, list) and isinstance(parsed, list) and len(mine) == len(parsed):
        return [
            d
            for i, pair in enumerate(zip(mine, parsed, strict=True))
            for d in _differences(*pair, f"{path}/{i}")
        ]
    return [] if mine == parsed else [f"{path}: {mine!r} became {parsed!r}"]


def test_dashboard_fits_grafanas_schema() -> None:
    """Grafana's own types read it, panel by panel, and write the same again: no key is unknown or wrong."""
    models = pytest.importorskip(
        "grafana_foundation_sdk.models.dashboard", reason="needs grafana-foundation-sdk"
    )
    from grafana_foundation_sdk.cog.encoder import JSONEncoder
    from grafana_foundation_sdk.cog.plugins import register_default_plugins

    register_default_plugins()
    mine = json.loads(DASHBOARD.read_text())
    parsed = json.loads(JSONEncoder().encode(models.Dashboard.from_json(mine)))
    assert _differences(mine, parsed) == []


def test_schema_check_can_fail() -> None:
    """A misspelt key does not come back."""
    models = pytest.importorskip(
        "grafana_foundation_sdk.models.dashboard", reason="needs grafana-foundation-sdk"
    )
    from grafana_foundation_sdk.cog.encoder import JSONEncoder
    from grafana_foundation_sdk.cog.plugins import register_default_plugins

    register_default_plugins()
    wrong = {"title": "x", "panels": [{"type": "stat", "titel": "y", "options": {"grafMode": "area"}}]}
    parsed = json.loads(JSONEncoder().encode(models.Dashboard.from_json(wrong)))
    assert {d.split("/")[-1] for d in _differences(wrong, parsed)} == {"titel", "grafMode"}


def test_dashboard_is_laid_out() -> None:
    """Ids are unique, no panel lies on another, each row is full, each panel says what it shows."""
    dashboard = json.loads(DASHBOARD.read_text())
    assert [row["title"].split(":")[0] for row in dashboard["panels"] if row["type"] == "row"] == [
        *("At a glance", "Ingest", "Accumulate", "Score", "Outputs", "Delay", "Runner and Kafka", "Processes")
    ]
    assert max(Counter(panel["id"] for panel in dashboard["panels"]).values()) == 1
    cells = Counter(
        (place["y"] + dy, place["x"] + dx)
        for panel in dashboard["panels"]
        for place in [panel["gridPos"]]
        for dy in range(place["h"])
        for dx in range(place["w"])
    )
    assert max(cells.values()) == 1
    widths = Counter(y for y, _ in cells)
    assert set(widths.values()) == {24}
    assert all(panel["description"].endswith((".", "`.")) for panel in panels())


def test_dashboard_is_not_bound_to_one_site() -> None:
    """Data source, installation and worker are chosen at the top, and every query follows."""
    variables = {v["name"]: v for v in json.loads(DASHBOARD.read_text())["templating"]["list"]}
    assert list(variables) == ["datasource", "prefix", "instance"]
    assert "$prefix" in variables["instance"]["query"]["query"]
    for panel in panels():
        assert {target["datasource"]["uid"] for target in panel["targets"]} == {"${datasource}"}
    for title, query in queries():
        selectors = re.findall(r"\{[^}]*\}", query)
        assert selectors, title
        assert all('instance=~"$instance"' in selector for selector in selectors), title


promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="needs promtool: apt-get install prometheus"
)


def _promtool(*words: str) -> str:
    done = subprocess.run(["promtool", *words], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@promtool
def test_rules_are_valid() -> None:
    """Prometheus takes them."""
    assert f"{len(rules())} rules found" in _promtool("check", "rules", str(RULES))


@promtool
def test_rules_fire_and_do_not_fire() -> None:
    """Prometheus's own evaluation of the shipped scenarios."""
    assert "SUCCESS" in _promtool("test", "rules", str(RULE_TESTS))


def test_each_rule_has_a_scenario_of_each_kind() -> None:
    """One in which it fires, one in which it does not."""
    outcomes: dict[str, set[bool]] = defaultdict(set)
    for scenario in yaml.safe_load(RULE_TESTS.read_text())["tests"]:
        for check in scenario["alert_rule_test"]:
            outcomes[check["alertname"]].add(bool(check["exp_alerts"]))
    assert outcomes == {rule["alert"]: {True, False} for rule in rules()}


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_each_rule_leads_to_its_page(rule: dict[str, Any]) -> None:
    """The link is the alert's name, the page is there and has its four parts, and says the alert's name."""
    slug = re.sub(r"(?<!^)([A-Z])", r"-\1", rule["alert"].removeprefix("BrokerPlugin")).lower()
    base = "{{ $externalLabels.broker_plugin_docs }}/runbooks/"
    assert rule["annotations"]["runbook_url"] == f"{base}{slug}/"
    assert rule["annotations"]["summary"]
    assert rule["labels"]["severity"] in ("page", "ticket")
    page = (RUNBOOKS / f"{slug}.md").read_text()
    assert re.findall(r"^## (.+)$", page, re.MULTILINE) == SECTIONS
    assert f"`{rule['alert']}`" in page


def test_every_page_belongs_to_a_rule_and_is_listed() -> None:
    """A page of an alert that went would send somebody the wrong way at night."""
    pages = {path.stem for path in RUNBOOKS.glob("*.md")} - {"index"}
    assert pages == {rule["annotations"]["runbook_url"].split("/")[-2] for rule in rules()}
    listed = re.findall(r"\(([a-z-]+)\.md\)", (RUNBOOKS / "index.md").read_text())
    assert set(listed) == pages


def test_pages_name_only_what_exists() -> None:
    """Metrics, commands and configuration keys in the pages are real."""
    from broker_plugin.cli import main

    for path in RUNBOOKS.glob("*.md"):
        text = path.read_text()
        for name in re.findall(r"broker_plugin_([a-z_]+)", text):
            assert re.sub(r"_(bucket|sum|count)$", "", name) in METRICS, (path.name, name)
        for verb in re.findall(r"broker-plugin ([a-z-]+)", text):
            assert verb in main.commands, (path.name, verb)
