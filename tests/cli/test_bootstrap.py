"""``bootstrap``: from files to the photometry topic, to a file, and what it says."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from broker_plugin.bootstrap import FORMATS
from broker_plugin.photometry.archive_times import TimeScale
from broker_plugin.records.codec import decode_photometry
from broker_plugin.runner.bus import read_topic
from broker_plugin.runner.memory import MemoryBus
from broker_plugin.runner.topics import create_missing, plan_topics
from tests.bootstrap import archives
from tests.bootstrap.archives import DEC, OBJECT, RA
from tests.cli.conftest import Call
from tests.shared import shared_path


@pytest.fixture
def installed(bus: MemoryBus) -> MemoryBus:
    """Return an installation as `topics create` makes it by default."""
    create_missing(bus, plan_topics("variables", 8))
    return bus


@pytest.fixture
def release(tmp_path: Path) -> list[object]:
    """Write a light curve of 250 epochs by IRSA, and the table that knows whose it is."""
    path = archives.irsa(tmp_path / "lc.csv", *(archives.irsa_row(58204.3 + n) for n in range(250)))
    (tmp_path / "objects.csv").write_text(f"object_id,ra,dec\n{OBJECT},{RA},{DEC}\n")
    return [path, "--format", "ztf-dr", "--objects", tmp_path / "objects.csv"]


def rows(text: str) -> dict[str, str]:
    lines = [line.rsplit(maxsplit=1) for line in text.splitlines() if line and line[-1].isdigit()]
    return {name.strip(): value for name, value in lines}


def test_names_in_the_help() -> None:
    """The command spells out what the package knows."""
    module = sys.modules["broker_plugin.cli.bootstrap"]
    assert tuple(FORMATS) == module.FORMAT_NAMES
    assert tuple(TimeScale) == module.TIME_SCALES


def test_into_kafka(call: Call, installed: MemoryBus, release: list[object]) -> None:
    """Epochs under the stream's id, one light curve ready; a second time there is nothing left to load."""
    first = call("bootstrap", *release, "--revision", 22)
    assert first.exit_code == 0
    told = rows(first.stdout)
    assert (told["epochs"], told["light curves with 200 or more: ready"]) == ("250", "1")
    (message,) = read_topic(installed, "variables.photometry")
    photometry = decode_photometry(message.value or b"")
    assert (photometry.object_id, len(photometry.bands["r"])) == (OBJECT, 250)
    assert set(photometry.bands["r"]["version"]) == {22}
    again = rows(call("bootstrap", *release, "--revision", 22).stdout)
    assert (again["rows"], again["rows loaded before"]) == ("0", "250")


def test_a_dry_run(call: Call, bus: MemoryBus, release: list[object]) -> None:
    """The same table without a single topic."""
    result = call("bootstrap", *release, "--dry-run")
    assert rows(result.stdout)["epochs"] == "250"
    assert "nothing was sent" in result.stdout


def test_offline_with_a_history(call: Call, tmp_path: Path, release: list[object]) -> None:
    """A file of history, and a replay of real packets behind it: the known star is scored at once."""
    history = tmp_path / "history.avro"
    rows_of_a_wave = [archives.irsa_row(58204.3 + n * 1.37, mag=15 + (n * 0.37) % 1) for n in range(250)]
    archives.irsa(tmp_path / "lc.csv", *rows_of_a_wave)
    assert call("bootstrap", *release, "--to", history).exit_code == 0
    packets = shared_path("alerts/ztf/ztf_public_20180819_mod1000.tar.gz")
    result = call("replay", packets, "--to", tmp_path / "out", "--with-history", history)
    assert result.exit_code == 0
    assert rows(result.stdout)["alerts"] == "30"
    assert "NOT BALANCED" not in result.stdout
    lines = (tmp_path / "out" / "classifications.jsonl").read_text().splitlines()
    assert [json.loads(line)["object_id"] for line in lines] == [OBJECT]


def test_an_archive_of_alerts(call: Call, installed: MemoryBus, tmp_path: Path) -> None:
    """Real packets through the ingest code; a broken one is named and does not stop the rest."""
    (tmp_path / "night").mkdir()
    for path in shared_path("alerts/ztf").glob("v4_*.avro"):
        (tmp_path / "night" / path.name).write_bytes(path.read_bytes())
    (tmp_path / "night" / "x.avro").write_bytes(b"Obj\x01 nothing")
    result = call("bootstrap", tmp_path / "night", "--format", "alerts")
    assert result.exit_code == 0
    assert rows(result.stdout)["bad rows"] == "1"
    assert "row 9: x.avro is" in result.stderr
    assert (
        int(rows(result.stdout)["records written"])
        == len(list(read_topic(installed, "variables.photometry")))
        > 3
    )


def test_every_bad_row_is_told_or_counted(call: Call, installed: MemoryBus, release: list[object]) -> None:
    """The first ten by name, the others by number; --strict stops at the first, exit code 7."""
    archives.irsa(release[0], *(archives.irsa_row(58204.3 + n, mag="x") for n in range(30)))  # type: ignore[arg-type]
    result = call("bootstrap", *release)
    assert result.exit_code == 0
    assert "lc.csv, row 10: mag is 'x', expected a number" in result.stderr
    assert "and 20 more bad rows" in result.stderr
    strict = call("bootstrap", *release, "--strict", "--again")
    assert strict.exit_code == 7
    assert "row 1: mag is 'x'" in strict.stderr


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("--format", "ztf-dr"), 2, "--objects"),
        (("--format", "plain"), 2, "--time-scale"),
        (("--format", "csv"), 2, "csv"),
        (("--format", "fink", "--to", "a.avro", "--dry-run"), 2, "--to"),
        (("--format", "fink"), 7, "lc.csv"),
        (("--format", "photometry"), 7, "lc.csv"),
    ],
)
def test_what_does_not_fit(
    call: Call, installed: MemoryBus, release: list[object], words: tuple[str, ...], code: int, told: str
) -> None:
    """Exit code 2 for the command line, 7 for a file, and what is wrong."""
    result = call("bootstrap", release[0], *words)
    assert result.exit_code == code
    assert told in result.output


def test_one_id_for_two_files(call: Call, tmp_path: Path) -> None:
    """--object-id is for one file."""
    for name in "ab":
        archives.alerce(tmp_path / f"{name}.json", archives.detection(58000.0))
    result = call("bootstrap", tmp_path, "--format", "alerce", "--object-id", OBJECT, "--dry-run")
    assert result.exit_code == 2
    assert "there are 2" in result.output


def test_topics_of_an_older_installation(call: Call, bus: MemoryBus, release: list[object]) -> None:
    """Exit code 5 and the cure."""
    create_missing(bus, [s for s in plan_topics("variables", 8) if not s.name.endswith("bootstrapped")])
    result = call("bootstrap", *release)
    assert result.exit_code == 5
    assert "topics create" in result.stderr
