"""The pages without a browser: addresses, labels, headers, errors."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from starlette.testclient import TestClient

from broker_plugin.board.feed import FeedState
from broker_plugin.board.intake import put_annotation
from broker_plugin.board.model import PageModel
from broker_plugin.board.store import Store
from broker_plugin.board.web import Surroundings, create_app
from broker_plugin.model import default_bundle_path
from broker_plugin.period import PeriodSettings
from tests.board.examples import classification, record

PAGE = {"Origin": "http://127.0.0.1", "Accept": "application/json"}
_PICTURE = re.compile(r'<svg class="plot".*?</svg></svg>', re.DOTALL)
STATE = FeedState("test", caught_up=True, problem="")


@pytest.fixture(scope="module")
def model() -> PageModel:
    return PageModel(default_bundle_path())


def surroundings(store: Store, model: PageModel) -> Surroundings:
    return Surroundings(
        store=store,
        model=model,
        period_settings=PeriodSettings(),
        feed_state=lambda: STATE,
        author="me",
        hosts=("127.0.0.1",),
        publishes=False,
        stopping=threading.Event(),
        clock=lambda: 1_767_225_600.0,
    )


@pytest.fixture
def page(filled: Store, model: PageModel) -> Iterator[TestClient]:
    with TestClient(create_app(surroundings(filled, model)), base_url="http://127.0.0.1") as client:
        yield client


def test_the_list_shows_the_most_extreme_first(page: TestClient) -> None:
    """Thirty light curves, the highest energy on top."""
    text = page.get("/").text
    energies = [float(value) for value in re.findall(r'class="num energy">([\d.]+)', text)]

    assert len(energies) == 30
    assert energies == sorted(energies, reverse=True)


def test_rows_come_in_pages(page: TestClient) -> None:
    """What a script asks for while it scrolls."""
    answer = page.get("/rows", params={"offset": 25, "limit": 10, "q": "energy>=0"}).json()

    assert answer["total"] == 30
    assert re.findall(r'aria-rowindex="(\d+)"', answer["html"]) == ["27", "28", "29", "30", "31"]


def test_a_wrong_filter_shows_no_rows(page: TestClient) -> None:
    """Rows of another question than the one asked would mislead."""
    answer = page.get("/", params={"q": "energgy>=3"})
    asked = page.get("/rows", params={"q": "energgy>=3"})

    assert (answer.status_code, asked.status_code) == (400, 400)
    assert "did you mean energy" in answer.text
    assert "data-key" not in answer.text
    assert "did you mean energy" in asked.json()["problems"]["q"]


def test_the_page_of_a_light_curve_has_everything(page: TestClient) -> None:
    """Curve, fold, periodogram, plane, probabilities, periods, history, links."""
    text = page.get("/object/ztf/ZTF220000001/r").text
    pictures = [ET.fromstring(svg) for svg in _PICTURE.findall(text)]

    assert [picture.get("aria-label", "").split()[0] for picture in pictures] == [
        "Light",
        "Light",
        "Periodogram:",
        "The",
    ]
    assert text.count('aria-current="true"') == 1
    assert len(re.findall(r"annotation=[0-9a-f]{32}", text)) >= 3
    for name in ("ALeRCE", "Fink", "Lasair", "Simbad", "Aladin Lite"):
        assert f">{name}</a>" in text
    assert "peak, chosen" in text
    assert "style=" not in text  # the Content-Security-Policy would drop it


def test_another_fold_has_no_reconstruction(page: TestClient) -> None:
    """The network saw one fold; at any other its values would mean nothing."""
    text = page.get("/object/ztf/ZTF220000001/r", params={"fold": "0.75"}).text
    wrong = page.get("/object/ztf/ZTF220000001/r", params={"fold": "-1"}).text

    assert "folded at 0.75 days, without the network" in text
    assert "is no period in days" in wrong


def test_an_ordinary_annotation_says_that_it_has_no_light_curve(page: TestClient, filled: Store) -> None:
    """It points to one that has."""
    with filled.writing() as connection:
        put_annotation(connection, classification(1, 5, novel=False))
    text = page.get("/object/ztf/ZTF220000001/r").text

    assert "No light curve is kept of this annotation" in text
    assert "has one.</a>" in text


def test_what_is_not_there_is_told(page: TestClient) -> None:
    """A mistyped object, a path of nothing, a static file that is none."""
    assert page.get("/object/ztf/nobody/r").status_code == 404
    assert "the store holds no such annotation of ztf/nobody/r" in page.get("/object/ztf/nobody/r").text
    assert page.get("/nothing").status_code == 404
    assert page.get("/static/../web.py").status_code == 404


def test_a_label_is_kept_with_what_was_looked_at(page: TestClient, filled: Store) -> None:
    """By a script: JSON back, and the list shows it."""
    fields = {"key": "ztf/ZTF220000004/g", "verdict": "known", "class": "RRAB", "comment": " Blazhko? "}
    answer = page.post("/labels", data=fields, headers=PAGE)
    with filled.reading() as connection:
        kept = dict(connection.execute("SELECT * FROM labels").fetchone())

    assert answer.json()["class"] == "RRAB"
    assert (kept["verdict"], kept["class"], kept["comment"], kept["author"]) == (
        "known",
        "RRAB",
        "Blazhko?",
        "me",
    )
    assert kept["labelled_ms"] == 1_767_225_600_000
    assert kept["published"] == 1  # there is no topic to send it to
    assert '<span class="tag known">RRAB</span>' in page.get("/", params={"label": "known"}).text


def test_a_label_by_a_plain_form_goes_back_to_the_page(page: TestClient) -> None:
    """A browser without scripts."""
    fields = {"key": "ztf/ZTF220000004/g", "verdict": "artefact", "back": "label=none"}
    answer = page.post("/labels", data=fields, headers={"Origin": "http://127.0.0.1"}, follow_redirects=False)

    assert answer.status_code == 303
    assert answer.headers["location"] == "/object/ztf/ZTF220000004/g?label=none"


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"key": "ztf/ZTF220000004/g", "verdict": "known"}, "needs its class"),
        ({"key": "ztf/nobody/g", "verdict": "artefact"}, "holds no such annotation"),
        ({"key": "ztf/ZTF220000004/g", "verdict": "artefact", "annotation": "x"}, "holds no such annotation"),
        ({}, "is none of interesting"),
    ],
)
def test_a_label_that_cannot_be_kept_is_told(page: TestClient, filled: Store, fields, problem) -> None:
    """Nothing is written."""
    answer = page.post("/labels", data=fields, headers=PAGE)
    with filled.reading() as connection:
        assert connection.execute("SELECT count(*) FROM labels").fetchone()[0] == 0
    assert answer.status_code == 400
    assert problem in answer.json()["problems"][0]


def test_another_site_cannot_label(page: TestClient, filled: Store) -> None:
    """A form on a site that the same browser shows."""
    fields = {"key": "ztf/ZTF220000004/g", "verdict": "artefact"}
    answer = page.post("/labels", data=fields, headers={"Origin": "https://evil.example"})
    with filled.reading() as connection:
        assert connection.execute("SELECT count(*) FROM labels").fetchone()[0] == 0
    assert answer.status_code == 403


@pytest.mark.parametrize("address", ["/", "/object/ztf/ZTF220000001/r", "/nothing", "/static/list.js"])
def test_every_answer_is_fenced_in(page: TestClient, address) -> None:
    """Nothing from elsewhere, no frame around it, errors included."""
    headers = page.get(address).headers

    assert "default-src 'none'" in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"


def test_what_a_record_says_is_never_markup(filled: Store, model: PageModel) -> None:
    """A hostile producer, a hostile comment."""
    bad = '<img src=x onerror="alert(1)">'
    with filled.writing() as connection:
        put_annotation(
            connection, record(50, object_id=bad, energy=99.0, quality_flags=(bad,), model_name=bad)
        )
    with TestClient(create_app(surroundings(filled, model)), base_url="http://127.0.0.1") as client:
        address = re.search(r'href="(/object/ztf/%3Cimg[^"]*)"', client.get("/").text)
        assert address is not None
        texts = [client.get("/").text, client.get(address[1]).text]

    for text in texts:
        assert "<img" not in text


def test_a_broken_bundle_leaves_the_rest_of_the_page(filled: Store, tmp_path: Path) -> None:
    """The model was removed under the board."""
    around = replace(surroundings(filled, PageModel(tmp_path / "gone")))
    with TestClient(create_app(around), base_url="http://127.0.0.1") as client:
        text = client.get("/object/ztf/ZTF220000001/r").text

    assert "the model cannot be used" in text
    assert text.count('class="plot"') == 3


def test_a_fault_of_ours_is_a_page_and_a_log_line(filled: Store, model: PageModel, caplog) -> None:
    """The store lost a table."""
    with filled.writing() as connection:
        connection.execute("DROP TABLE curves")
    client = TestClient(
        create_app(surroundings(filled, model)), base_url="http://127.0.0.1", raise_server_exceptions=False
    )
    answer = client.get("/object/ztf/ZTF220000001/r")

    assert answer.status_code == 500
    assert "no such table: curves" in answer.text
    assert "GET /object/ztf/ZTF220000001/r failed" in caplog.text
