"""The page in a real browser: keys, live updates, many rows, other screens, other eyes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from broker_plugin.board.intake import put_annotation
from broker_plugin.board.store import Store
from tests.board.chromium import Served, chromium_path, served
from tests.board.examples import record

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

_WAIT_MS = 60_000  # a shared machine may take any time over it


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    path = chromium_path()
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def board(filled: Store) -> Iterator[Served]:
    with served(filled) as board:
        yield board


@pytest.fixture
def faults() -> list[str]:
    """Return what a browser complained of: errors of scripts, and what the page's own rules blocked."""
    return []


@pytest.fixture
def page(chromium: Any, board: Served, faults: list[str]) -> Iterator[Any]:
    page = _page(chromium, board, faults)
    yield page
    page.context.close()
    assert faults == []


def _page(chromium: Any, board: Served, faults: list[str], **screen: Any) -> Any:
    context = chromium.new_context(base_url=board.address, **screen)
    context.set_default_timeout(_WAIT_MS)
    page = context.new_page()
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda m: faults.append(m.text) if m.type == "error" else None)
    page.on("request", lambda r: None if r.url.startswith(board.address) else faults.append(r.url))
    return page


def _wait_true(page: Any, expression: str) -> None:
    """Wait until an expression is true; Playwright's own way needs eval, which the page forbids."""
    deadline = time.monotonic() + _WAIT_MS / 1000
    while not page.evaluate(expression):
        assert time.monotonic() < deadline, expression
        page.wait_for_timeout(50)


def labels(store: Store) -> list[tuple[str, str, str | None, str]]:
    with store.reading() as connection:
        rows = connection.execute("SELECT * FROM current_labels ORDER BY key").fetchall()
    return [(row["key"], row["verdict"], row["class"], row["comment"]) for row in rows]


def test_a_night_with_the_keyboard(page: Any, board: Served) -> None:
    """Down the list, open, label, comment, next, a known class by its digit, back, take one back."""
    page.goto("/")
    page.wait_for_selector("#rows tr[data-key]")
    keys = page.eval_on_selector_all("#rows tr[data-key]", "rows => rows.map(r => r.dataset.key)")
    for key in "jj":
        page.keyboard.press(key)
    assert page.get_attribute("tr.at", "data-key") == keys[1]
    page.keyboard.press("k")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/object/{keys[0]}")

    page.keyboard.press("i")
    page.wait_for_selector("#labels .tag.interesting")
    page.keyboard.press("m")
    page.fill("#comment-text", "look again")
    page.keyboard.press("Control+Enter")
    page.wait_for_selector("#labels >> text=look again")
    page.keyboard.press("j")
    page.wait_for_url(f"**/object/{keys[1]}")
    page.keyboard.press("c")
    page.wait_for_selector("#class-dialog[open]")
    page.keyboard.press("6")
    page.wait_for_selector("#labels .tag.known")
    page.keyboard.press("k")
    page.wait_for_url(f"**/object/{keys[0]}")
    page.keyboard.press("u")
    page.wait_for_selector("#labels >> text=none yet")
    page.keyboard.press("l")
    page.wait_for_url("**/")

    assert labels(board.store) == sorted([(keys[0], "none", None, ""), (keys[1], "known", "RRAB", "")])


def test_labels_in_the_list_itself(page: Any, board: Served) -> None:
    """Triage without opening: label, and the next one if so chosen."""
    page.goto("/")
    page.keyboard.press("?")
    page.wait_for_selector("#help[open]")
    page.check("#advance")
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    first = page.get_attribute("tr.at", "data-key")
    page.keyboard.press("a")
    page.wait_for_selector(f'tr[data-key="{first}"] .tag.artefact')
    _wait_true(page, f"document.querySelector('tr.at').dataset.key != '{first}'")

    assert labels(board.store) == [(first, "artefact", None, "")]


def test_keys_can_be_switched_off_and_never_act_in_a_field(page: Any, board: Served) -> None:
    """Speech input says single letters by accident; a comment holds them on purpose."""
    page.goto("/object/ztf/ZTF220000001/r")
    page.fill("#label-form textarea", "")
    page.type("#label-form textarea", "iacu?")
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    page.uncheck("#keys-on")
    page.keyboard.press("Escape")
    page.keyboard.press("i")
    page.reload()
    page.keyboard.press("a")
    page.wait_for_timeout(300)

    assert labels(board.store) == []


def test_news_arrive_by_themselves(page: Any, board: Served) -> None:
    """An annotation is published while the list is open; the feed fails; nobody reloads."""
    page.goto("/?q=energy%3E%3D0")
    page.wait_for_selector("#feed.good")
    assert page.inner_text("#total") == "30"
    with board.store.writing() as connection:
        put_annotation(connection, record(77, energy=500.0))
    page.wait_for_selector('tr.fresh[data-key="ztf/ZTF220000077/r"]')
    assert page.inner_text("#total") == "31"
    assert page.get_attribute("#rows tbody tr[data-key]", "data-key") == "ztf/ZTF220000077/r"

    board.state = replace(board.state, problem="no Kafka broker answers")
    page.wait_for_selector("#feed.bad >> text=no Kafka broker answers")


def test_filter_and_order_without_a_reload(page: Any) -> None:
    """Typed, composed, removed by its chip; the address says it all and can be sent to a colleague."""
    page.goto("/")
    page.fill("#q", "energy>=15")
    _wait_true(page, "document.querySelector('#rows').getAttribute('aria-rowcount') < 31")
    page.select_option("#add-name", "band")
    page.fill("#add-value", "g")
    page.click("#add-button")
    _wait_true(page, "[...document.querySelectorAll('#rows .band')].every(e => e.textContent == 'g')")
    page.click("a[data-sort=mag]")
    page.wait_for_selector("th.mag[aria-sort=descending]")
    _wait_true(page, "location.search == '?q=energy%3E%3D15+band%3Dg&sort=mag'")
    total = page.inner_text("#total")
    page.reload()
    assert page.inner_text("#total") == total
    page.click("text=band=g ✕")
    _wait_true(page, f"Number(document.querySelector('#total').textContent) > {total}")


def test_a_wrong_filter_is_told_while_it_is_typed(chromium: Any, board: Served) -> None:
    """The browser logs the answer 400 as an error, which it is."""
    page = _page(chromium, board, [])
    page.goto("/")
    page.fill("#q", "energgy>=15")
    page.wait_for_selector("#problem >> text=did you mean energy")
    assert page.locator("#rows tr[data-key]").count() == 0
    page.fill("#q", "energy>=1000")
    page.wait_for_selector("#empty >> text=Nothing passes the filter")
    page.context.close()


def test_a_thousand_rows_are_scrolled_through(page: Any, board: Served) -> None:
    """Rows exist where one looks, in their order, down to the last; the page holds some dozens of them."""
    with board.store.writing() as connection:
        template = record(31)
        for number in range(1000):
            one = {
                **template,
                "annotation_id": f"m{number}",
                "object_id": f"M{number:05d}",
                "energy": 1 / (number + 1),
            }
            put_annotation(connection, one)
    page.goto("/")
    for share, rank in ((0.5, 515), (1.0, 1030), (0.0, 1)):
        page.evaluate(
            f"s => {{ const e = document.querySelector('#scroll'); e.scrollTop = {share} * e.scrollHeight }}"
        )
        page.wait_for_selector(f'#rows tr[data-key][aria-rowindex="{rank + 1}"]')
        indices = page.eval_on_selector_all(
            "#rows tr[data-key]", "rows => rows.map(r => Number(r.getAttribute('aria-rowindex')))"
        )
        assert indices == list(range(indices[0], indices[0] + len(indices)))
        assert len(indices) < 120


PAGES = {"list": "/?novel=all", "object": "/object/ztf/ZTF220000001/r", "missing": "/object/ztf/nobody/r"}
SCREENS: dict[str, dict[str, Any]] = {
    "light": {"viewport": {"width": 1400, "height": 850}, "color_scheme": "light"},
    "dark": {"viewport": {"width": 1400, "height": 850}, "color_scheme": "dark"},
    "phone": {"viewport": {"width": 390, "height": 844}, "has_touch": True},
}


@pytest.mark.parametrize("screen", SCREENS)
@pytest.mark.parametrize("name", PAGES)
def test_nobody_is_shut_out(chromium: Any, board: Served, tmp_path: Path, name: str, screen: str) -> None:
    """Contrast, names, roles, order of headings, in both schemes and on a phone: axe-core finds nothing."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-core is not installed")
    page = _page(chromium, board, [], **SCREENS[screen])
    page.goto(PAGES[name])
    page.wait_for_selector("main")
    found = axe.Axe().run(page)
    problems = [
        f"{v['id']}: {v['help']}: {node['html'][:120]}"
        for v in found.response["violations"]
        for node in v["nodes"][:3]
    ]
    wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    page.context.close()

    assert problems == []
    assert wide <= 0  # nothing makes the page itself scroll sideways
