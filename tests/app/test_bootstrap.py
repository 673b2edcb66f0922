"""History into an installation: once, resumed, held up where live alerts would wait, outranked by them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from broker_plugin.app.bootstrap import Bootstrap, BootstrapReport, Lane, LaneSettings, read_all
from broker_plugin.app.bootstrap_source import ArchiveSource
from broker_plugin.bootstrap import Census, ReadOptions, tables
from broker_plugin.bootstrap.photometry_file import read_photometry_file, write_photometry_file
from broker_plugin.errors import AbortableTransactionError, FencedError, InputError, TopicError
from broker_plugin.lightcurve.history import BandHistory
from broker_plugin.lightcurve.windows import WindowSettings
from broker_plugin.photometry import QualityCuts
from broker_plugin.photometry.archive_times import TimeScale
from broker_plugin.records.codec import decode_photometry, encode_photometry
from broker_plugin.records.epoch import Origin, make_epochs
from broker_plugin.records.photometry import ObjectPhotometry, object_key
from broker_plugin.runner.bus import read_topic
from broker_plugin.runner.memory import MemoryBus
from broker_plugin.runner.protocols import Message
from broker_plugin.runner.settings import Clock, RunnerSettings
from broker_plugin.runner.state import BatchState, CommittedState
from broker_plugin.runner.store import MemoryStore
from broker_plugin.runner.topics import create_missing, plan_topics
from broker_plugin.stages.accumulate import AccumulateStage, _PartitionStore
from tests.integration.pipeline import run_until_idle

PREFIX = "t"
HEADER = "survey,object_id,band,time,mag,magerr,ra,dec\n"
ROWS = 1200  # three chunks of 500


def table(path: Path, rows: int = ROWS, objects: int = 4) -> Path:
    """Write light curves of some objects, one after the other."""
    each = rows // objects
    lines = [
        f"ztf,ZTF18{i:07d},r,{58000 + n * 0.7:.5f},{15 + (i * 7 + n) % 10 / 10},0.02,{i},{i / 2}"
        for i in range(objects)
        for n in range(each)
    ]
    path.write_text(HEADER + "\n".join(lines) + "\n")
    return path


def plain_source(**more: Any) -> ArchiveSource:
    return ArchiveSource("plain", QualityCuts(), ReadOptions(time_scale=TimeScale.BMJD_TDB), **more)


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "CHUNK_ROWS", 500)


@pytest.fixture
def bus() -> MemoryBus:
    bus = MemoryBus()
    create_missing(bus, plan_topics(PREFIX, 2))
    return bus


def load(
    bus: MemoryBus, path: Path, *, source: ArchiveSource | None = None, lane: Lane | None = None, **more: Any
) -> BootstrapReport:
    source = source or plain_source()
    lane = lane or Lane(bus, PREFIX, LaneSettings(max_lag=0))
    loader = Bootstrap(bus, RunnerSettings(PREFIX), source, lane, clock=Clock(sleep=lambda _: None))
    return loader.run(source.units([path]), **({"on_batch": lambda _: None} | more))


def loaded(bus: MemoryBus) -> list[bytes]:
    return [message.value or b"" for message in read_topic(bus, f"{PREFIX}.photometry")]


def state(bus: MemoryBus) -> dict[bytes, bytes]:
    """Run accumulate to the end and return the state."""
    run_until_idle(bus, PREFIX, [AccumulateStage(PREFIX, WindowSettings())])
    held = {m.key or b"": m.value for m in read_topic(bus, f"{PREFIX}.changelog")}
    return {k: v for k, v in held.items() if v is not None and not k.startswith(b"\x00")}


def test_every_epoch_arrives_under_its_object(bus: MemoryBus, tmp_path: Path) -> None:
    """Four light curves of 300 epochs: records keyed by object, state with all of them, windows due."""
    report = load(bus, table(tmp_path / "a.csv"))
    assert (report.rows, report.census.epochs, report.bad_rows) == (ROWS, ROWS, 0)
    assert report.census.counts().tolist() == [300] * 4
    records = [decode_photometry(value) for value in loaded(bus)]
    assert {m.key for m in read_topic(bus, "t.photometry")} == {
        object_key("ztf", r.object_id) for r in records
    }
    assert len([key for key in state(bus) if key.startswith(b"h/")]) == 4
    assert len({m.key for m in read_topic(bus, "t.lightcurves")}) == 4


def test_a_second_run_has_nothing_to_do(bus: MemoryBus, tmp_path: Path) -> None:
    """The same content under another name is known; --again loads it, and the light curves stay."""
    path = table(tmp_path / "a.csv")
    load(bus, path)
    before, epochs = loaded(bus), {k: v for k, v in state(bus).items() if k.startswith(b"c/")}
    report = load(bus, path.rename(tmp_path / "b.csv"))
    assert (report.rows, report.rows_before, report.records) == (0, ROWS, 0)
    assert loaded(bus) == before
    report = load(bus, tmp_path / "b.csv", again=True)
    assert report.rows == ROWS
    assert {k: v for k, v in state(bus).items() if k.startswith(b"c/")} == epochs


def test_other_settings_are_another_archive(bus: MemoryBus, tmp_path: Path) -> None:
    """What was loaded under one revision is not yet loaded under another."""
    path = table(tmp_path / "a.csv", rows=40)
    load(bus, path)
    assert load(bus, path, source=plain_source(revision=1)).rows == 40


@pytest.mark.parametrize("batch", [1, 2])
def test_stopped_and_started_again(bus: MemoryBus, tmp_path: Path, batch: int) -> None:
    """An error after some batches: the next run goes on behind them, and the topic is as after one run."""
    path = table(tmp_path / "a.csv")
    done = 0

    def stop(_: BootstrapReport) -> None:
        nonlocal done
        done += 1
        if done == batch:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        load(bus, path, on_batch=stop)
    report = load(bus, path)
    assert (report.rows_before, report.rows) == (batch * 500, ROWS - batch * 500)
    other = MemoryBus()
    create_missing(other, plan_topics(PREFIX, 2))
    load(other, path)
    assert loaded(bus) == loaded(other)
    assert state(bus) == state(other)


def test_a_transaction_that_fails(bus: MemoryBus, tmp_path: Path) -> None:
    """Aborted and tried again; nothing of the first attempt is seen."""
    bus.fail_next("commit", AbortableTransactionError("no"))
    report = load(bus, table(tmp_path / "a.csv", rows=400))
    assert report.records == len(loaded(bus)) == 4


def test_a_transaction_that_always_fails(bus: MemoryBus, tmp_path: Path) -> None:
    """The error is raised in the end, and nothing was loaded."""
    bus.fail_next("commit", AbortableTransactionError("no"), times=99)
    with pytest.raises(AbortableTransactionError):
        load(bus, table(tmp_path / "a.csv", rows=400))
    assert loaded(bus) == []


def test_two_at_once(bus: MemoryBus, tmp_path: Path) -> None:
    """The second one fences the first, which says so; together they have loaded everything once."""
    path = table(tmp_path / "a.csv")

    def another(report: BootstrapReport) -> None:
        if report.rows == 500:
            load(bus, path)

    with pytest.raises(FencedError, match="another bootstrap"):
        load(bus, path, on_batch=another)
    assert sum(len(decode_photometry(v).bands["r"]) for v in loaded(bus)) == ROWS


def test_without_its_topics(tmp_path: Path) -> None:
    """The topic and the cure."""
    bus = MemoryBus()
    create_missing(bus, [spec for spec in plan_topics(PREFIX, 2) if not spec.name.endswith("bootstrapped")])
    with pytest.raises(TopicError, match=r"t\.bootstrapped.*topics create"):
        load(bus, table(tmp_path / "a.csv", rows=40))


def test_strict_stops_before_the_bad_row(bus: MemoryBus, tmp_path: Path) -> None:
    """The first bad row ends it; what was loaded before stays, the batch with the row is not loaded."""
    path = table(tmp_path / "a.csv")
    lines = path.read_text().splitlines()
    lines[700] = lines[700].replace("ztf,", "sdss,")
    path.write_text("\n".join(lines) + "\n")
    source = plain_source()
    loader = Bootstrap(
        bus, RunnerSettings(PREFIX), source, Lane(bus, PREFIX, LaneSettings(max_lag=0)), strict=True
    )
    with pytest.raises(InputError, match=r"row 700: survey is 'sdss'"):
        loader.run(source.units([path]), on_batch=lambda _: None)
    assert sum(len(decode_photometry(v).bands["r"]) for v in loaded(bus)) == 500


class Time:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 0.0
        self.on_sleep: Callable[[], None] = lambda: None

    def clock(self) -> Clock:
        return Clock(monotonic=lambda: self.now, sleep=self._sleep)

    def _sleep(self, seconds: float) -> None:
        self.now += seconds
        self.on_sleep()


def test_a_rate(bus: MemoryBus, tmp_path: Path) -> None:
    """1200 epochs at 100 a second: the last of three batches goes after ten seconds."""
    time = Time()
    lane = Lane(bus, PREFIX, LaneSettings(100.0, 0), clock=time.clock())
    load(bus, table(tmp_path / "a.csv"), lane=lane)
    assert time.now == pytest.approx(10.0, abs=0.01)


def test_live_alerts_go_first(bus: MemoryBus, tmp_path: Path) -> None:
    """Accumulate is behind: nothing is sent until it has caught up, and the person is told."""
    load(bus, table(tmp_path / "a.csv", rows=400, objects=200))
    time, told = Time(), []
    waits = 0

    def catch_up() -> None:
        nonlocal waits
        waits += 1
        assert len(loaded(bus)) == 200
        if waits == 3:
            state(bus)

    time.on_sleep = catch_up
    lane = Lane(bus, PREFIX, LaneSettings(max_lag=100), on_wait=told.append, clock=time.clock())
    load(bus, table(tmp_path / "b.csv", rows=40), lane=lane)
    assert waits == 3
    assert len(told) == 1
    assert told == [200]
    assert len(loaded(bus)) == 204


def live(origin: Origin, mag: float, version: int) -> ObjectPhotometry:
    epochs = make_epochs([58000.1], [mag], [0.01], origin=int(origin), version=version)
    return ObjectPhotometry("ztf", "ZTF18aaaaaaa", "1", 58000.1, 10.0, 20.0, {"r": epochs})


@pytest.mark.parametrize("history_first", [True, False])
@pytest.mark.parametrize(
    ("origin", "is_forced", "stays"),
    [
        (Origin.DETECTION, False, 15.0),
        (Origin.PREVIOUS, False, 15.0),
        (Origin.FORCED, False, 19.9),  # a detection beats a forced point of the same exposure
        (Origin.DETECTION, True, 15.0),
        (Origin.PREVIOUS, True, 15.0),
        (Origin.FORCED, True, 15.0),
    ],
)
def test_what_a_live_alert_says_stays(
    tmp_path: Path, origin: Origin, is_forced: bool, stays: float, history_first: bool
) -> None:
    """One exposure by an alert and by an archive: of like kinds the alert stays, whoever comes first."""
    path = tmp_path / "a.csv"
    path.write_text(HEADER + "ztf,ZTF18aaaaaaa,r,58000.1,19.9,0.001,10.5,20.5\n")
    options = ReadOptions(time_scale=TimeScale.BMJD_TDB, is_forced=is_forced)
    source = ArchiveSource("plain", QualityCuts(), options, revision=1000)
    (unit,) = source.units([path])
    ((history,),) = (batch.photometry for batch in source.batches(unit))
    alert = live(origin, 15.0, version=58000 * 86_400_000)
    held = BatchState(CommittedState({0: MemoryStore()}))
    pair = (history, alert) if history_first else (alert, history)
    messages = [
        Message("t.photometry", 0, n, b"ztf/ZTF18aaaaaaa", encode_photometry(each))
        for n, each in enumerate(pair)
    ]
    AccumulateStage(PREFIX, WindowSettings()).step(messages, held)
    light_curve = BandHistory(_PartitionStore(held, 0), b"ztf/ZTF18aaaaaaa", "r")
    assert light_curve.light_curve()["mag"].tolist() == pytest.approx([stays])
    header = light_curve.header()
    assert header is not None
    assert (header.ra, header.dec) == (10.0, 20.0)


def test_a_later_release_revises_an_earlier_one(tmp_path: Path) -> None:
    """By --revision, in either order."""
    found = []
    for revision, mag in ((22, 15.2), (20, 15.0)):
        path = tmp_path / f"{revision}.csv"
        path.write_text(HEADER + f"ztf,ZTF18aaaaaaa,r,58000.1,{mag},0.001,10.5,20.5\n")
        source = plain_source(revision=revision)
        ((record,),) = (batch.photometry for batch in source.batches(*source.units([path])))
        found.append(record)
    for pair in (found, found[::-1]):
        held = BatchState(CommittedState({0: MemoryStore()}))
        messages = [
            Message("t.photometry", 0, n, b"", encode_photometry(each)) for n, each in enumerate(pair)
        ]
        AccumulateStage(PREFIX, WindowSettings()).step(messages, held)
        curve = BandHistory(_PartitionStore(held, 0), b"ztf/ZTF18aaaaaaa", "r").light_curve()
        assert curve["mag"].tolist() == pytest.approx([15.2])


def test_into_a_file_and_back(tmp_path: Path) -> None:
    """The same records; a file that is none is named."""
    source, report = plain_source(), BootstrapReport()
    units = source.units([table(tmp_path / "a.csv", rows=400, objects=40)])
    out = tmp_path / "history.avro"
    assert write_photometry_file(out, read_all(source, units, report)) == 40 == report.records
    direct = [record for batch in source.batches(units[0]) for record in batch.photometry]
    for again, record in zip(read_photometry_file(out), direct, strict=True):
        assert encode_photometry(again) == encode_photometry(record)
    with pytest.raises(InputError, match=r"a\.csv"):
        list(read_photometry_file(tmp_path / "a.csv"))


def test_a_broken_archive_leaves_no_file(tmp_path: Path) -> None:
    """All of it or nothing: no half history is taken for a whole one."""
    (tmp_path / "a.csv").write_text("nonsense\n")
    source = plain_source()
    with pytest.raises(InputError):
        write_photometry_file(
            tmp_path / "out.avro", read_all(source, source.units([tmp_path / "a.csv"]), BootstrapReport())
        )
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]


def test_exposures_that_two_files_bring_count_once() -> None:
    """Also where their times straddle a border of rounding; beyond the bound it says that it may be more."""
    census = Census()
    for shift in (0.0, 0.4e-5):
        epochs = make_epochs(58000 + np.arange(250) + shift, np.full(250, 15.0), np.full(250, 0.1))
        census.add(ObjectPhotometry("ztf", "a", "0", 0.0, 0.0, 0.0, {"r": epochs, "g": epochs[:120]}))
    assert sorted(census.counts()) == [120, 250]
    assert (census.objects, census.epochs, census.exact) == (1, 740, True)
    assert dict(census.rows())["light curves with 200 or more: ready"] == "1"
    bounded = Census(exact_epochs=300)
    for _ in range(2):
        bounded.add(ObjectPhotometry("ztf", "a", "0", 0.0, 0.0, 0.0, {"r": epochs, "g": epochs[:120]}))
    assert not bounded.exact
    assert sorted(bounded.counts()) == [240, 500]


def test_folders_in_order_of_names(tmp_path: Path) -> None:
    """Each file is a unit; an empty folder is an error."""
    for name in "ba":
        table(tmp_path / f"{name}.csv", rows=40)
    assert [Path(unit.name).name for unit in plain_source().units([tmp_path])] == ["a.csv", "b.csv"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="empty"):
        plain_source().units([tmp_path / "empty"])
