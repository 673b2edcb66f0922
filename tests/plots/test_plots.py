"""The pictures are drawn for every kind of novelty; that they look well was judged by eye."""

from __future__ import annotations

import base64
import re
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from broker_plugin.plots import Picture, ScoredObject, Table, plot_novelty, plot_summary, write_summary_html
from broker_plugin.plots.summary import confusion
from broker_plugin.records.annotation import Annotation, Novelty, PeriodCandidate, PeriodReport

CLASSES = ("CEPH", "DSCT", "ECL", "M", "ROT", "RRAB", "RRCD", "SR")


def novelty(
    *, period_days: float | None = 0.61, mag: float | None = None, flags: tuple[str, ...] = ()
) -> Novelty:
    rng = np.random.default_rng(8)
    time = np.sort(rng.uniform(58_000.0, 58_900.0, 200))
    phase = (time - time[0]) / 0.61 % 1.0
    mags = np.full(200, mag) if mag is not None else 15.0 + 0.4 * np.sin(2 * np.pi * phase)
    annotation = Annotation(
        survey="ztf",
        object_id="ZTF18aaaaaaa",
        band="r",
        ra=10.0,
        dec=-5.0,
        window_id="0" * 32,
        alert_id="9223372036854775807",
        alert_time_mjd=58_900.0,
        n_epochs_total=230,
        first_epoch_mjd=float(time[0]),
        last_epoch_mjd=float(time[-1]),
        n_epochs=200,
        period=PeriodReport(period_days, 0.61, "search", -30.5, (PeriodCandidate(0.61, 0.9, "peak"),)),
        probabilities=dict(zip(CLASSES, (0.1, 0.1, 0.1, 0.1, 0.1, 0.3, 0.1, 0.1), strict=True)),
        predicted_class="RRAB",
        energy=38_795.25,
        energy_percentile=100.0,
        p_value=None,
        novel_80=True,
        novel_95=True,
        novel=True,
        responsible_component="RRAB",
        euclidean=0.2,
        cosine=0.1,
        mean_mag=15.0,
        std_mag=0.28,
        quality_flags=flags,
        model_name="joint",
        model_version="1",
        model_digest="0" * 64,
        code_version="0.1.0",
    )
    return Novelty(
        annotation=annotation,
        time_mjd=time,
        mag=mags.astype(np.float32),
        magerr=np.full(200, 0.02, dtype=np.float32),
        phase=phase,
        reconstruction_mag=mags.astype(np.float32),
    )


def png_size(path: Path) -> tuple[int, int]:
    head = path.read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", head[16:24])
    return width, height


@pytest.mark.parametrize(
    "example",
    [
        novelty(),
        novelty(period_days=None, flags=("no_significant_period", *("long_flag_name",) * 20)),
        novelty(mag=15.0),
        replace(novelty(), reconstruction_mag=np.full(200, np.nan, dtype=np.float32)),
        replace(novelty(), magerr=np.full(200, 1e3, dtype=np.float32)),
    ],
    ids=["periodic", "no period, many flags", "constant", "no reconstruction", "huge errors"],
)
def test_novelty_picture(example: Novelty, tmp_path: Path) -> None:
    """Whatever the light curve, a picture of 1200 by 800 appears, in a folder that was not there."""
    path = tmp_path / "new" / "a.png"
    plot_novelty(example, path)
    assert png_size(path) == (1200, 800)
    assert path.stat().st_size > 20_000
    assert [file.name for file in path.parent.iterdir()] == ["a.png"]


def test_equal_novelties_equal_files(tmp_path: Path) -> None:
    """No clock in the file."""
    for name in ("a", "b"):
        plot_novelty(novelty(), tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def scored(truth: str, predicted: str, energy: float, *, known: bool = True) -> ScoredObject:
    return ScoredObject("ztf", "ZTF1", "r", truth, known, predicted, energy, energy >= 3.0)


SCORED = [
    scored("ECL", "ECL", -4.0),
    scored("ECL", "ROT", -3.0),
    scored("M", "M", 5.0),
    scored("nova", "SR", 38_795.0, known=False),
    scored("dipper", "SR", -1.0, known=False),
]


def test_confusion_counts() -> None:
    """Classes first, unseen kinds after them, novel in a column of its own."""
    rows, columns, matrix = confusion(SCORED, CLASSES)
    assert rows == ["ECL", "M", "dipper", "nova"]
    assert columns == [*CLASSES, "novel"]
    cells = {(rows[i], columns[j]): int(n) for (i, j), n in np.ndenumerate(matrix) if n}
    assert cells == {
        ("ECL", "ECL"): 1,
        ("ECL", "ROT"): 1,
        ("M", "novel"): 1,
        ("dipper", "SR"): 1,
        ("nova", "novel"): 1,
    }


@pytest.mark.parametrize("items", [SCORED, SCORED[:1], SCORED[3:]], ids=["all", "one", "only unseen"])
def test_summary_picture(items: list[ScoredObject], tmp_path: Path) -> None:
    """Drawn with both groups, with a single window, and with nothing known."""
    path = tmp_path / "summary.png"
    plot_summary(items, CLASSES, 3.0, {"alerts": "10"}, path, title="A run")
    assert png_size(path) == (1200, 800)


def test_page_is_self_contained_and_escaped(tmp_path: Path) -> None:
    """The picture is inside, nothing is loaded from elsewhere, names cannot break the page."""
    picture = tmp_path / "p.png"
    plot_novelty(novelty(), picture)
    page = tmp_path / "sub" / "summary.html"
    write_summary_html(
        page,
        title="Run <1>",
        introduction="a & b",
        tables=[Table("Counts", ("name", "n"), [("<script>", "5")])],
        pictures=[Picture(picture, 'a "novelty"')],
    )
    text = page.read_text(encoding="utf-8")
    assert "<script>" not in text
    assert "&lt;script&gt;" in text
    assert "a &amp; b" in text
    assert re.findall(r'(?:src|href)="(?!data:)', text) == []
    encoded = re.search(r"data:image/png;base64,([^\"]+)", text)
    assert encoded is not None
    assert base64.b64decode(encoded[1]) == picture.read_bytes()
