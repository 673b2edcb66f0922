"""How fluid the novelty page is with many rows, in a real headless Chromium.

Run: ``python -m benchmarks.board_rows [--rows 10000] [--to report.json]`` from the root of the source tree;
needs the extra ``test`` and a Chromium. Each figure is the median and the worst of some tries, milliseconds;
a filter waits 250 ms for the end of typing, news up to 1.5 s to be drawn together.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

from broker_plugin.board.intake import put_annotation
from broker_plugin.board.store import Store
from tests.board.chromium import chromium_path, served
from tests.board.examples import record

_SETTLED = "() => document.querySelectorAll('#rows tr[data-key]').length > 0"

# Milliseconds from a scroll until rows of that place are drawn, and of the longest frame meanwhile.
_SCROLL = """async (share) => {
  const box = document.querySelector('#scroll'), table = document.querySelector('#rows');
  const height = parseFloat(getComputedStyle(document.documentElement).getPropertyValue('--row'));
  const began = performance.now();
  let last = began, longest = 0;
  box.scrollTop = share * (box.scrollHeight - box.clientHeight);
  const last = Number(table.getAttribute('aria-rowcount'));
  const wanted = Math.min(last, Math.floor(box.scrollTop / height) + 6);
  while (true) {
    await new Promise(requestAnimationFrame);
    const now = performance.now();
    longest = Math.max(longest, now - last); last = now;
    if (table.querySelector(`tr[data-key][aria-rowindex="${wanted}"]`)) return [now - began, longest];
    if (now - began > 30000) throw new Error('no rows');
  }
}"""

# From a change of the filter until the rows of the new list stand there.
_FILTER = """async ([line, field]) => {
  const total = document.querySelector('#total'), before = total.textContent, began = performance.now();
  const input = document.querySelector(field);
  input.value = line;
  input.dispatchEvent(new Event('input', {bubbles: true}));
  while (total.textContent === before) {
    await new Promise(requestAnimationFrame);
    if (performance.now() - began > 30000) throw new Error('no change');
  }
  return performance.now() - began;
}"""

# From a click on a column's name until another row is the first.
_ORDER = """async (name) => {
  const first = () => document.querySelector('#rows tr[data-key]')?.dataset.key;
  const before = first(), began = performance.now();
  document.querySelector(`a[data-sort=${name}]`).click();
  while (first() === before || !first()) {
    await new Promise(requestAnimationFrame);
    if (performance.now() - began > 30000) throw new Error('no change');
  }
  return performance.now() - began;
}"""


def main() -> None:
    """Fill a store, drive the page, print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--to", type=Path, help="write the figures here, as JSON")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder) / "board.sqlite")
        figures: dict[str, Any] = {"rows": arguments.rows, "fill_ms": [_fill(store, arguments.rows)]}
        with served(store) as board, sync_playwright() as driver:
            browser = driver.chromium.launch(executable_path=chromium_path(), args=["--no-sandbox"])
            figures |= _drive(browser, board.address, store)
            browser.close()
        store.close()
    report = {name: _summary(value) if isinstance(value, list) else value for name, value in figures.items()}
    text = json.dumps(report, indent=1)
    print(text)  # noqa: T201 (what the command is for)
    if arguments.to is not None:
        arguments.to.write_text(text + "\n", encoding="utf-8")


def _fill(store: Store, rows: int) -> float:
    """Take in so many novelties, each with its light curve; return milliseconds."""
    templates = [record(number) for number in range(200)]
    began = time.perf_counter()
    for start in range(0, rows, 500):
        with store.writing() as connection:
            for number in range(start, min(start + 500, rows)):
                template = templates[number % len(templates)]
                names = {
                    "annotation_id": f"a{number}",
                    "object_id": f"ZTF99{number:07d}",
                    "window_id": f"w{number}",
                }
                put_annotation(
                    connection, {**template, **names, "energy": template["energy"] + number / rows}
                )
    return 1000 * (time.perf_counter() - began)


def _drive(browser: Any, address: str, store: Store) -> dict[str, list[float]]:
    page = browser.new_page(viewport={"width": 1400, "height": 850})
    page.set_default_timeout(60_000)
    found: dict[str, list[float]] = {
        name: [] for name in ("open_list_ms", "jump_ms", "frame_ms", "glide_frame_ms")
    }
    for _ in range(5):
        began = time.perf_counter()
        page.goto(address, wait_until="domcontentloaded")
        assert page.evaluate(_SETTLED)
        found["open_list_ms"].append(1000 * (time.perf_counter() - began))
    for step in range(20):
        took, frame = page.evaluate(_SCROLL, (7 * step % 20) / 19)
        found["jump_ms"].append(took)
        found["frame_ms"].append(frame)
    page.evaluate(_SCROLL, 0.0)
    for step in range(60):
        found["glide_frame_ms"].append(page.evaluate(_SCROLL, step / 600)[1])
    lines = [
        "energy>=20",
        "class=ECL,M",
        "mag<=17 p<=0.05",
        "cone=180,30,60deg",
        "period=0.2..5 flags!=phase_gap",
    ]
    found["filter_ms"] = [page.evaluate(_FILTER, [line, "#q"]) for line in [*lines, ""] * 2]
    found["order_ms"] = [page.evaluate(_ORDER, name) for name in ("mag", "period", "time", "class", "energy")]
    found["news_ms"] = []
    for number in range(3):
        began = time.perf_counter()
        with store.writing() as connection:
            put_annotation(connection, record(5_000_000 + number, energy=1000.0 + number))
        page.wait_for_selector(f'tr.fresh[data-key^="ztf/ZTF22{5_000_000 + number:07d}"]')
        found["news_ms"].append(1000 * (time.perf_counter() - began))
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_selector("#labels")
    found["next_object_ms"] = []
    for _ in range(10):
        here, began = page.url, time.perf_counter()
        page.keyboard.press("j")
        while page.url == here:
            page.wait_for_timeout(5)
        page.wait_for_selector("#labels")
        found["next_object_ms"].append(1000 * (time.perf_counter() - began))
    return found


def _summary(values: list[float]) -> dict[str, float]:
    return {
        "median": round(statistics.median(values), 1),
        "worst": round(max(values), 1),
        "tries": len(values),
    }


if __name__ == "__main__":
    main()
