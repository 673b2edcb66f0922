"""What is compared does the same work."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np

from benchmarks.rows import ROWS, accumulate, load
from benchmarks.rows.accumulate_kafka import Template
from benchmarks.samples import curves, messages, packets, photometry_record, readers, stages, windows
from benchmarks.stage_costs import CountingState
from broker_plugin.records.codec import decode_photometry, decode_window


def test_every_row_is_there() -> None:
    """Under the name that the command line knows."""
    for name in ROWS:
        assert callable(load(name)), name


def test_readers_decode_every_packet_alike() -> None:
    """Whichever library: the same records of the same packets."""
    payloads = packets("lsst", simulated=True)["simulated"].payloads[:5]
    records = {name: build()() for name, build in readers(payloads).items()}
    assert len(records) == 3
    flat = [record for inner in records["fastavro.reader"] for record in inner]  # type: ignore[attr-defined]
    assert len(flat) == 5
    for name in ("fastavro.schemaless_reader, schema kept", "cavro, schema kept"):
        ids = [record["diaSource"]["diaSourceId"] for record in records[name]]  # type: ignore[index,attr-defined]
        assert ids == [record["diaSource"]["diaSourceId"] for record in flat], name


def test_the_dictionary_emits_the_windows_that_accumulate_emits() -> None:
    """At the 200th, 220th and 240th epoch of each object."""
    values = accumulate.records(3, 240)
    (stage,) = stages("accumulate")
    result = stage.step(messages(values), CountingState())
    emitted = sum(output.topic.endswith(".lightcurves") for output in result.outputs)
    assert emitted == 9
    assert accumulate._in_a_dictionary(values) == 9


def test_patched_records_are_what_the_encoder_makes() -> None:
    """Of any object and night: one epoch, its own time."""
    record = Template().record("t", 123_456_789, 7)
    photometry = decode_photometry(record.value or b"")
    assert record.key == b"ztf/ZTF123456789"
    assert photometry.object_id == "ZTF123456789"
    np.testing.assert_array_equal(photometry.bands["r"]["time_mjd"], [59_021.0])
    assert photometry.alert_time_mjd == 59_021.0


def test_samples_are_whole_windows() -> None:
    """Increasing times, the asked number of epochs, equal for equal seeds; records of the last epochs."""
    for curve in curves(4, 1000):
        assert len(curve.time_mjd) == 1000
        assert (np.diff(curve.time_mjd) > 0).all()
    key, value = photometry_record("ZTF1", curves(1, 30)[0], last=3)
    assert key == b"ztf/ZTF1"
    assert len(decode_photometry(value).bands["r"]) == 3
    assert [len(decode_window(value).epochs) for value in windows(3)] == [200] * 3


def test_the_command(tmp_path: Path) -> None:
    """One row, its files, a second run that keeps what is there; an unknown row is refused with all names."""

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "benchmarks", "--out", str(tmp_path), *words]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    first = run("--quick", "--rows", "accumulate")
    assert first.returncode == 0, first.stderr
    assert "Accumulate, the step alone" in first.stdout
    row = tmp_path / "rows" / "accumulate.json"
    written = row.stat().st_mtime_ns
    assert run("--quick", "--rows", "accumulate", "--resume").returncode == 0
    assert row.stat().st_mtime_ns == written
    assert "B/alert" in (tmp_path / "benchmarks.md").read_text()
    refused = run("--rows", "nothing")
    assert refused.returncode == 2
    assert "end-to-end" in refused.stderr
