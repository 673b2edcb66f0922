"""Archives into files and into a topic, simulations, the demo."""

from __future__ import annotations

import csv
import json
import sys
import tarfile
from pathlib import Path

import pytest

from broker_plugin.runner.bus import TopicSpec, read_topic
from broker_plugin.runner.memory import MemoryBus
from tests.cli.conftest import Call


@pytest.fixture(scope="session")
def _archives(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Simulate once for all tests."""
    from broker_plugin.simulate.generate import simulate
    from broker_plugin.simulate.settings import SimulationSettings

    folder = tmp_path_factory.mktemp("alerts")
    simulate(SimulationSettings(n_objects=4, n_nights=12, seed=3, damaged_fraction=0.1), folder)
    return folder


@pytest.fixture
def archives(_archives: Path) -> Path:
    return _archives


def members(folder: Path) -> list[bytes]:
    payloads = []
    for path in sorted(folder.glob("*.tar.gz")):
        with tarfile.open(path) as archive:
            payloads += [archive.extractfile(member).read() for member in archive]  # type: ignore[union-attr]
    return payloads


def test_simulate(call: Call, tmp_path: Path) -> None:
    """Archives and a truth table with a row for each object; the same seed, the same bytes."""
    for name in ("a", "b"):
        result = call(
            "simulate", tmp_path / name, "--objects", 3, "--nights", 6, "--seed", 5, "--bands", "g,r"
        )
        assert result.exit_code == 0
        assert "alerts of 3 objects" in result.stdout
    with (tmp_path / "a" / "truth.csv").open() as stream:
        assert len(list(csv.DictReader(stream))) == 3
    files = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert len(files) > 1
    for name in files:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_simulate_with_an_impossible_setting(call: Call, tmp_path: Path) -> None:
    """Exit code 2."""
    assert call("simulate", tmp_path / "a", "--bands", "w").exit_code == 2
    assert call("simulate", tmp_path / "a", "--from-parquet", tmp_path, "--survey", "lsst").exit_code == 2


def test_simulate_a_chosen_mixture(call: Call, tmp_path: Path) -> None:
    """Only the kinds that were asked for, sparse alerts, LSST packets as on the wire, that replay reads."""
    words = "--survey lsst --framing registry --lsst-schema 11.0 --mixture ew=3,RRAB --min-alert-gap 20"
    result = call("simulate", tmp_path / "a", *words.split(), "--objects", 4, "--nights", 60, "--bands", "r")
    assert result.exit_code == 0, result.output
    with (tmp_path / "a" / "truth.csv").open() as stream:
        truth = list(csv.DictReader(stream))
    assert sorted(row["kind"] for row in truth) == ["EW", "EW", "EW", "RRAB"]
    assert all(int(row["n_alerts"]) <= 3 for row in truth)
    packets = members(tmp_path / "a")
    assert packets
    assert {packet[:5] for packet in packets} == {bytes([0]) + (1100).to_bytes(4, "big")}
    table = call("replay", tmp_path / "a", "--to", tmp_path / "out").stdout
    assert any(line.split() == ["alerts", str(len(packets))] for line in table.splitlines())


def test_simulate_with_stamps(call: Call, tmp_path: Path) -> None:
    """Cut-outs of about the size asked make the packets larger by about three of them."""
    words = ("--objects", 2, "--nights", 6, "--seed", 5, "--bands", "r")
    for name, size in (("bare", 0), ("full", 5000)):
        assert call("simulate", tmp_path / name, *words, "--stamp-bytes", size).exit_code == 0
    bare, full = (
        sum(map(len, packets)) / len(packets)
        for packets in (members(tmp_path / "bare"), members(tmp_path / "full"))
    )
    assert 0.7 * 15_000 < full - bare < 1.3 * 15_000


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--mixture", "RRAB=much"), "KIND=WEIGHT"),
        (("--mixture", "QUASAR=1"), "QUASAR"),
        (("--lsst-schema", "11.0"), "ZTF packets are of schema 4.02"),
        (("--framing", "registry"), "framing"),
        (("--from-parquet", ".", "--nights", 7, "--bands", "r"), "leave out --nights, --bands"),
    ],
)
def test_simulate_with_options_that_do_not_fit(
    call: Call, tmp_path: Path, words: tuple[object, ...], told: str
) -> None:
    """Exit code 2, and what was found."""
    result = call("simulate", tmp_path / "a", *words)
    assert result.exit_code == 2
    assert told in result.output


def test_names_in_the_help_of_simulate() -> None:
    """The command spells out what the simulator knows."""
    from broker_plugin.simulate import kinds, settings

    module = sys.modules["broker_plugin.cli.simulate"]
    assert set(module.KIND_NAMES.split(", ")) == set(kinds.KINDS)
    assert module.LSST_SCHEMA_VERSIONS == settings.LSST_SCHEMA_VERSIONS
    assert module.FRAMINGS == settings.FRAMINGS


def test_offline(call: Call, archives: Path, tmp_path: Path) -> None:
    """All stages without Kafka: files beside each other, what is damaged among the dead letters, a table."""
    result = call("replay", archives, "--to", tmp_path / "out")
    assert result.exit_code == 0
    table = dict(
        line.rsplit(maxsplit=1) for line in result.stdout.splitlines() if line and "results" not in line
    )
    packets = members(archives)
    assert table["alerts"] == str(len(packets))
    assert int(table["epochs in light curves"]) > 0
    letters = [
        json.loads(line) for line in (tmp_path / "out" / "dead-letters.jsonl").read_text().splitlines()
    ]
    assert len(letters) == int(table["dead letters"]) > 0
    names = {path.name for path in (tmp_path / "out").iterdir()}
    kinds = ("classifications", "novelties", "objects", "dead-letters")
    assert names == {f"{n}.{s}" for n in kinds for s in ("avro", "jsonl")}


def test_light_curves_are_kept_where_they_are_wanted(call: Call, archives: Path, bus: MemoryBus) -> None:
    """Beside the other files; a replay into Kafka has them in a topic."""
    assert call("replay", archives, "--to", "out", "--keep-lightcurves").exit_code == 0
    assert {path.name for path in Path("out").glob("lightcurves.*")} == {
        "lightcurves.avro", "lightcurves.jsonl"
    }  # fmt: skip
    result = call("replay", archives, "--topic", "nightly", "--keep-lightcurves")
    assert result.exit_code == 2
    assert "--keep-lightcurves goes with --to" in result.stderr


def test_into_a_topic(call: Call, archives: Path, bus: MemoryBus) -> None:
    """Every packet arrives, as it lay in the archive, in its order, without a key."""
    bus.create_topics([TopicSpec("nightly", 1)])
    result = call("replay", archives, "--topic", "nightly")
    assert result.exit_code == 0
    messages = list(read_topic(bus, "nightly"))
    assert [message.value for message in messages] == members(archives)
    assert {message.key for message in messages} == {None}
    assert f"{len(messages)} alerts sent" in result.stdout


def test_at_a_speed_the_order_is_that_of_time(call: Call, archives: Path, bus: MemoryBus) -> None:
    """The same packets; real time is shortened so that the test need not wait."""
    bus.create_topics([TopicSpec("nightly", 1)])
    assert call("replay", archives, "--topic", "nightly", "--speed", "1e9").exit_code == 0
    assert sorted(m.value or b"" for m in read_topic(bus, "nightly")) == sorted(members(archives))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "either --to DIR (offline) or --topic"),
        (["--to", "out", "--topic", "t"], "either --to DIR (offline) or --topic"),
        (["--to", "out", "--rate", "5"], "offline there is nothing to wait for"),
    ],
)
def test_wrong_usage(call: Call, archives: Path, arguments: list[str], words: str) -> None:
    """Exit code 2 and what to do instead."""
    result = call("replay", archives, *arguments)
    assert result.exit_code == 2
    assert words in result.stderr


def test_rate_and_speed_contradict(call: Call, archives: Path, bus: MemoryBus) -> None:
    """Exit code 2."""
    result = call("replay", archives, "--topic", "t", "--rate", "1", "--speed", "1")
    assert result.exit_code == 2
    assert "choose one" in result.stderr


@pytest.mark.parametrize("target", [["--to", "out"], ["--topic", "t"]])
def test_archive_that_is_not_there(call: Call, bus: MemoryBus, target: list[str]) -> None:
    """Exit code 7 and the path."""
    bus.create_topics([TopicSpec("t", 1)])
    result = call("replay", "no-such-night.tar.gz", *target)
    assert result.exit_code == 7
    assert "no-such-night.tar.gz" in result.stderr


def test_topic_that_is_not_there(call: Call, archives: Path, bus: MemoryBus) -> None:
    """Exit code 5 and the cure."""
    result = call("replay", archives, "--topic", "t")
    assert result.exit_code == 5
    assert "topics create" in result.stderr


def test_bundle_that_is_not_there(call: Call, archives: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 3, before anything is read."""
    monkeypatch.setenv("BROKER_PLUGIN_SCORE__BUNDLE", "no-such-bundle")
    result = call("replay", archives, "--to", "out")
    assert result.exit_code == 3
    assert "no-such-bundle" in result.stderr


def test_demo(call: Call, tmp_path: Path) -> None:
    """Even when no object reaches 200 epochs there is a table and a page."""
    result = call("demo", "--to", tmp_path / "demo", "--objects", 3, "--nights", 8)
    assert result.exit_code == 0
    assert "windows of 200 epochs" in result.stdout
    assert (tmp_path / "demo" / "summary.html").read_text().startswith("<!DOCTYPE html>")


def test_faults_offline_and_into_a_topic(call: Call, archives: Path, bus: MemoryBus, tmp_path: Path) -> None:
    """The same seed gives both the same stream; dead letters are the damaged packets, and the archive's."""
    words = ("--fault", "duplicate=0.2,drop=0.1", "--fault", "corrupt=0.2", "--seed", 7)
    bus.create_topics([TopicSpec("one", 1), TopicSpec("two", 1)])
    for topic in ("one", "two"):
        result = call("replay", archives, "--topic", topic, *words, "--fault-record", f"{topic}.jsonl")
        assert result.exit_code == 0
    sent = [message.value for message in read_topic(bus, "one")]
    assert sent == [message.value for message in read_topic(bus, "two")]
    assert (tmp_path / "one.jsonl").read_bytes() == (tmp_path / "two.jsonl").read_bytes()

    clean = call("replay", archives, "--to", tmp_path / "clean").stdout
    result = call("replay", archives, "--to", tmp_path / "out", *words)
    *faults, sums = map(json.loads, (tmp_path / "out" / "faults.jsonl").read_text().splitlines())
    assert sums["seed"] == 7
    assert sums["sent"] == len(sent)
    assert (tmp_path / "out" / "faults.jsonl").read_bytes() == (tmp_path / "one.jsonl").read_bytes()
    counts = {kind: sum(fault["kind"] == kind for fault in faults) for kind in sums["counts"]}
    assert counts == sums["counts"]
    assert f"packets: corrupt {counts['corrupt']}" in " ".join(result.stdout.split())
    letters = (tmp_path / "out" / "dead-letters.jsonl").read_text().splitlines()
    assert len(letters) >= counts["corrupt"] > 0
    assert "faults.jsonl" not in clean


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("duplicate=2", "a share from 0 to 1"),
        ("explode=0.1", "one of drop, duplicate, delay, reorder, corrupt, schema-mix"),
        ("drop", "KIND=SHARE"),
        ("drop=0.1,drop=0.2", "given twice"),
    ],
)
def test_faults_that_are_none(call: Call, archives: Path, given: str, told: str) -> None:
    """Exit code 2, and what is allowed."""
    result = call("replay", archives, "--to", "out", "--fault", given)
    assert result.exit_code == 2
    assert told in " ".join(result.stderr.split())


def test_visits_in_bursts(call: Call, archives: Path, bus: MemoryBus) -> None:
    """In the order of time; the interval is shortened so that the test need not wait."""
    from broker_plugin.archive import AlertClock

    bus.create_topics([TopicSpec("nightly", 1)])
    words = ("--visit-interval", 37, "--speed", "1e9")
    assert call("replay", archives, "--topic", "nightly", *words).exit_code == 0
    clock = AlertClock()
    times = [clock.time(message.value or b"") for message in read_topic(bus, "nightly")]
    known = [time for time in times if time is not None]
    assert known == sorted(known)
    assert len(times) == len(members(archives))


def test_history_is_for_a_replay_offline(call: Call, archives: Path, bus: MemoryBus) -> None:
    """Into Kafka, bootstrap brings it: exit code 2."""
    result = call("replay", archives, "--topic", "t", "--with-history", archives)
    assert result.exit_code == 2
    assert "bootstrap" in result.stderr
