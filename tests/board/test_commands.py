"""The commands: serve until interrupted, continue, export, put into a training table."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from broker_plugin.board.intake import put_annotation
from broker_plugin.board.labels import add_label, new_label
from broker_plugin.board.store import Store
from broker_plugin.cli import main
from broker_plugin.errors import InputError
from tests.board.examples import line, record
from training.data.labels import add_labels
from training.windows import read_windows


@contextmanager
def serving(
    *arguments: object, end_with: signal.Signals = signal.SIGINT
) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    command = [sys.executable, "-m", "broker_plugin", "board", *map(str, arguments), "--port", "0"]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("BROKER_PLUGIN_")}
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )
    try:
        assert process.stdout is not None
        said = process.stdout.readline()
        address = re.search(r"http://\S+/", said)
        assert address, said
        yield address[0], process
    finally:
        process.send_signal(end_with)
        process.communicate(timeout=60)


def ask(address: str, fields: bytes | None = None, **headers: str) -> tuple[int, str]:
    request = urllib.request.Request(address, fields, headers)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_from_a_folder_to_a_training_table(tmp_path: Path) -> None:
    """Serve, label, end with an event stream open, serve again: the label is there; export it."""
    folder, file = tmp_path / "out", tmp_path / "board.sqlite"
    folder.mkdir()
    (folder / "novelties.jsonl").write_text("".join(line(record(n)) for n in range(1, 5)), encoding="utf-8")
    key = "ztf/ZTF220000002/g"
    with serving("--from", folder, "--store", file) as (address, process):
        events = urllib.request.urlopen(f"{address}events", timeout=60)
        seen = ""
        while '"light_curves": 4' not in seen:
            seen = events.readline().decode()
        body = f"key={key}&verdict=known&class=RRAB".encode()
        status, answer = ask(f"{address}labels", body, Origin=address.rstrip("/"), Accept="application/json")
        assert (status, json.loads(answer)["class"]) == (200, "RRAB")
        assert ask(f"{address}labels", body, Origin="https://evil.example")[0] == 403
        assert ask(address, Host="evil.example")[0] == 403
        events.close()
    assert process.returncode == 0
    with serving("--from", folder, "--store", file, end_with=signal.SIGTERM) as (address, process):
        assert "RRAB" in ask(f"{address}?label=known")[1]
    assert process.returncode == 0

    out = tmp_path / "labels.parquet"
    done = CliRunner().invoke(main, ["board", "--store", str(file), "export-labels", str(out)])

    assert (done.exit_code, done.output) == (0, f"{out}: 1 labels\n")
    assert read_windows(out).original_class.tolist() == ["RRAB"]


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["board", "--from", "."], 7, "holds none of classifications.jsonl, novelties.jsonl"),
        (["board", "--store", "nothing.sqlite", "export-labels", "out.csv"], 7, "does not exist"),
        (["board", "--host", "203.0.113.7", "--from", "out"], 2, "cannot be listened at"),
    ],
)
def test_what_is_wrong_is_told_in_a_line(tmp_path, monkeypatch, arguments, code, text) -> None:
    """A folder without output, a store that is not there, an address that is not ours."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "novelties.jsonl").write_text("", encoding="utf-8")
    done = CliRunner().invoke(main, arguments)

    assert done.exit_code == code
    assert text in done.output


def test_a_missing_extra_is_told_with_the_command_that_installs_it(monkeypatch) -> None:
    """Installed without the extra."""
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    for name in [name for name in sys.modules if name.startswith("broker_plugin.board")]:
        monkeypatch.delitem(sys.modules, name)
    done = CliRunner().invoke(main, ["board"])

    assert done.exit_code == 2
    assert "the board needs uvicorn: pip install 'broker-plugin[board]'" in done.output


@pytest.fixture
def labelled(filled: Store, tmp_path: Path) -> Path:
    with filled.writing() as connection:
        for number, class_ in ((2, "ECL"), (3, "CV")):
            put_annotation(connection, record(number))
            label = new_label(record(number), "known", class_, "", author="a", now_ms=number)
            add_label(connection, label, published=True)
    out = tmp_path / "labels.parquet"
    arguments = ["board", "export-labels", str(out), "--store", str(filled.path)]
    assert CliRunner().invoke(main, arguments).exit_code == 0
    return out


def base_table(path: Path, **columns: list[object]) -> Path:
    one = record(9)
    table = {
        "star_id": ["ztf/ZTF220000002", "asas1"],
        "superclass": ["ECL", "M"],
        "hjd": [[t + 2_400_000.5 for t in one["time_mjd"]]] * 2,
        "mag": [one["mag"]] * 2,
        "magerr": [one["magerr"]] * 2,
        **columns,
    }
    pq.write_table(pa.table(table), path)
    return path


def test_labels_join_a_training_table(labelled: Path, tmp_path: Path) -> None:
    """`python -m training add-labels`: classes as labelled, and no star on both sides of a split."""
    data = base_table(tmp_path / "base.parquet", group=[7, 8], period=[1.5, 300.0])
    out = tmp_path / "all.parquet"
    done = add_labels(data, [labelled, labelled], out)
    table = read_windows(out)
    groups = dict(zip(table.star_id.tolist(), table.group.tolist(), strict=True))

    assert (done.stars, done.added, done.superseded) == (2, 2, 2)
    assert table.original_class.tolist()[2:] == ["ECL", "CV"]
    assert table.star_id.tolist()[:3] == ["ztf/ZTF220000002", "asas1", "ztf/ZTF220000002"]
    assert groups["ztf/ZTF220000002"] == 7
    assert len(set(table.group.tolist())) == 3


def test_labels_of_an_unknown_class_are_refused(labelled: Path, tmp_path: Path) -> None:
    """Somebody edited the file."""
    table = pq.read_table(labelled)
    pq.write_table(table.set_column(1, "superclass", pa.array(["ECL", "QSO"])), labelled)

    with pytest.raises(InputError, match="superclass 'QSO'; expected one of CEPH"):
        add_labels(base_table(tmp_path / "base.parquet"), [labelled], tmp_path / "all.parquet")
    with pytest.raises(InputError, match="column 'label_id' is missing"):
        add_labels(labelled, [base_table(tmp_path / "base.parquet")], tmp_path / "all.parquet")
