"""The web application: a list, a page for each light curve, labels, and news as they come."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
import time
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from broker_plugin import __version__
from broker_plugin.annotate.quality import QUALITY_FLAGS
from broker_plugin.board import formats, listing
from broker_plugin.board.feed import FeedState
from broker_plugin.board.intake import next_change, stored_record
from broker_plugin.board.labels import add_label, label_problems, new_label
from broker_plugin.board.model import PageModel
from broker_plugin.board.page import build_page, read_object
from broker_plugin.board.security import Guard
from broker_plugin.board.selection import LABEL_CHOICES, Parsed, parse_selection
from broker_plugin.board.store import Store
from broker_plugin.period import PeriodSettings
from broker_plugin.plots.svg import mix_svg
from broker_plugin.records.label import VERDICTS

logger = logging.getLogger(__name__)

_HERE = Path(__file__).parent
_PAGE_ROWS = 100
_MOST_ROWS = 500
_MOST_FORM_BYTES = 20_000
_TICK_SECONDS = 0.5
_HEARTBEAT_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the application needs.

    Attributes
    ----------
    store : Store
    model : PageModel
    period_settings : PeriodSettings
    feed_state : callable
        Returns how the feed stands.
    author : str
        Who labels here.
    hosts : collection of str
        Names that the page may be asked for under.
    publishes : bool
        Whether labels go to a topic.
    stopping : threading.Event
        Ends open event streams, so that the server can end.
    clock : callable
        Seconds since 1970.
    """

    store: Store
    model: PageModel
    period_settings: PeriodSettings
    feed_state: Callable[[], FeedState]
    author: str
    hosts: Collection[str]
    publishes: bool
    stopping: threading.Event
    clock: Callable[[], float] = time.time


def create_app(around: Surroundings) -> Starlette:
    """Return the application."""
    pages = _Pages(around)
    return Starlette(
        routes=[
            Route("/", pages.list_page),
            Route("/rows", pages.rows),
            Route("/object/{key:path}", pages.object_page),
            Route("/labels", pages.label, methods=["POST"]),
            Route("/events", pages.events),
            Mount("/static", StaticFiles(directory=_HERE / "static")),
        ],
        middleware=[Middleware(Guard, hosts=around.hosts)],
        exception_handlers={HTTPException: pages.failure, Exception: pages.failure},
    )


class _Pages:
    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self._store = around.store
        self._templates = Environment(
            loader=FileSystemLoader(_HERE / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters |= formats.FILTERS
        self._templates.globals |= {
            "version": __version__,
            "mix_svg": mix_svg,
            "flag_meanings": QUALITY_FLAGS,
            "verdicts": VERDICTS,
            "label_choices": LABEL_CHOICES,
            "publishes": around.publishes,
            "author": around.author,
            "object_path": _object_path,
        }

    def list_page(self, request: Request) -> Response:
        """Show the list; its first rows are in the page, the rest comes as it is scrolled to."""
        parsed = parse_selection(request.query_params)
        start = _whole(request.query_params, "start", 0)
        found = self._rows(parsed, start, _PAGE_ROWS)
        return self._render(
            "list.html",
            status=400 if parsed.problems else 200,
            parsed=parsed,
            start=start,
            page_rows=_PAGE_ROWS,
            **found,
        )

    def rows(self, request: Request) -> Response:
        """Return some rows as HTML inside of JSON: rows are drawn in one place only."""
        parsed = parse_selection(request.query_params)
        if parsed.problems:
            return JSONResponse({"problems": parsed.problems}, 400)
        offset = _whole(request.query_params, "offset", 0)
        limit = min(_whole(request.query_params, "limit", _PAGE_ROWS), _MOST_ROWS)
        found = self._rows(parsed, offset, limit)
        drawn = self._templates.get_template("rows.html").render(parsed=parsed, rows=found["rows"])
        return JSONResponse({"total": found["total"], "totals": found["totals"], "html": drawn})

    def object_page(self, request: Request) -> Response:
        """Show one light curve."""
        key = request.path_params["key"]
        parsed = parse_selection(request.query_params)
        fold_days, problem = _fold_days(request.query_params.get("fold", ""))
        with self._store.reading() as connection:
            stored = read_object(
                connection, parsed.selection, key, request.query_params.get("annotation") or None
            )
        if stored is None:
            raise HTTPException(404, f"the store holds no such annotation of {key}")
        page = build_page(stored, self._around.model, self._around.period_settings, fold_days)
        return self._render("object.html", parsed=parsed, page=page, key=key, fold_problem=problem)

    async def label(self, request: Request) -> Response:
        """Keep a label; a script gets JSON, a form is sent back to the page."""
        body = await request.body()
        if len(body) > _MOST_FORM_BYTES:
            raise HTTPException(413, f"a label has at most {_MOST_FORM_BYTES} bytes")
        form = {name: values[-1] for name, values in parse_qs(body.decode("utf-8", "replace")).items()}
        result = await run_in_threadpool(self._keep_label, form)
        if "application/json" in request.headers.get("accept", ""):
            return JSONResponse(result, 400 if "problems" in result else 200)
        if "problems" in result:
            raise HTTPException(400, "; ".join(result["problems"]))
        return RedirectResponse(f"{_object_path(result['key'])}?{form.get('back', '')}", 303)

    async def events(self, request: Request) -> Response:
        """Tell as server-sent events when the store or the feed has changed."""

        async def stream() -> AsyncIterator[str]:
            said, silent = None, 0.0
            while not self._around.stopping.is_set() and not await request.is_disconnected():
                now = (self._store.changes, self._around.feed_state())
                if now != said:
                    said, silent = now, 0.0
                    yield f"data: {json.dumps(await run_in_threadpool(self._news))}\n\n"
                elif silent >= _HEARTBEAT_SECONDS:
                    silent = 0.0
                    yield ": here\n\n"  # else neither side would notice that the other has gone
                await asyncio.sleep(_TICK_SECONDS)
                silent += _TICK_SECONDS

        return StreamingResponse(stream(), media_type="text/event-stream")

    async def failure(self, request: Request, error: Exception) -> Response:
        """Show what went wrong, and the way back."""
        if isinstance(error, HTTPException):
            status, detail = error.status_code, error.detail
        else:
            logger.error("%s %s failed", request.method, request.url.path, exc_info=error)
            status, detail = 500, f"{type(error).__name__}: {error}"
        if "application/json" in request.headers.get("accept", ""):
            return JSONResponse({"problems": [detail]}, status)
        return self._render("error.html", status=status, code=status, detail=detail)

    def _render(self, name: str, *, status: int = 200, **values: Any) -> Response:
        state = self._around.feed_state()
        with self._store.reading() as connection:
            classes = listing.classes(connection)
        page = self._templates.get_template(name).render(feed=state, classes=classes, **values)
        return HTMLResponse(page, status)

    def _rows(self, parsed: Parsed, offset: int, limit: int) -> dict[str, Any]:
        """Return rows and numbers; none while the filter is wrong, since others were asked for."""
        with self._store.reading() as connection:
            totals = listing.totals(connection)
            if parsed.problems:
                return {"rows": [], "total": 0, "totals": totals}
            return {
                "rows": listing.rows(connection, parsed.selection, offset, limit),
                "total": listing.count(connection, parsed.selection),
                "totals": totals,
            }

    def _news(self) -> dict[str, Any]:
        state = self._around.feed_state()
        with self._store.reading() as connection:
            totals = listing.totals(connection)
        feed = {"source": state.source, "caught_up": state.caught_up, "problem": state.problem}
        return {"totals": totals, "feed": feed}

    def _keep_label(self, form: Mapping[str, str]) -> dict[str, Any]:
        verdict, comment = form.get("verdict", ""), form.get("comment", "").strip()
        class_ = form.get("class", "").strip() if verdict == "known" else ""
        problems = label_problems(verdict, class_ or None, comment)
        if problems:
            return {"problems": problems}
        with self._store.writing(durable=True) as connection:
            row = connection.execute(
                """SELECT a.record, o.key FROM objects o JOIN annotations a
                ON a.annotation_id = coalesce(nullif(?, ''), o.annotation_id) AND a.key = o.key
                WHERE o.key = ?""",
                (form.get("annotation", ""), form.get("key", "")),
            ).fetchone()
            if row is None:
                return {"problems": [f"the store holds no such annotation of {form.get('key', '')!r}"]}
            now_ms = round(self._around.clock() * 1000)
            record = stored_record(row["record"])
            label = new_label(
                record, verdict, class_ or None, comment, author=self._around.author, now_ms=now_ms
            )
            add_label(connection, label, published=not self._around.publishes)
            connection.execute(
                "UPDATE objects SET changed = ? WHERE key = ?", (next_change(connection), row["key"])
            )
        return {"key": row["key"], "label_id": label.label_id, "verdict": verdict, "class": class_ or None}


def _object_path(key: str) -> str:
    return f"/object/{quote(key)}"


def _whole(parameters: Mapping[str, str], name: str, default: int) -> int:
    text = parameters.get(name, "")
    return int(text) if text.isdecimal() and len(text) < 10 else default


def _fold_days(text: str) -> tuple[float | None, str]:
    """Return the period that a reader wants to fold with, or what is wrong with it."""
    if not text.strip():
        return None, ""
    try:
        days = float(text)
    except ValueError:
        days = 0.0
    if not 1e-4 < days < 1e5:
        return None, f"{text!r} is no period in days; expected a number between 0.0001 and 100 000"
    return days, ""
