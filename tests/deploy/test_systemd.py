"""The units: what systemd itself says of them, and that what they set exists."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from broker_plugin.cli.run import STAGES
from broker_plugin.config import load_config
from broker_plugin.errors import BundleError, ConfigurationError, InputError
from tests.deploy.tools import DEPLOY, run, tool

UNITS = DEPLOY / "systemd"
EXPOSURE = (
    15  # of 100; systemd calls 10 to 49 "OK"; the network and the host's root directory make up the rest
)


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """Copy the units, with a program that exists on this machine, and an instance of the template."""
    for path in UNITS.iterdir():
        shutil.copy(path, tmp_path)
    for path in tmp_path.glob("*.service"):
        path.write_text(path.read_text().replace("/opt/broker-plugin/bin/broker-plugin", "/bin/true"))
    shutil.copy(tmp_path / "broker-plugin@.service", tmp_path / "broker-plugin@score.service")
    drop_in = tmp_path / "broker-plugin@score.service.d"
    drop_in.mkdir()
    shutil.copy(UNITS / "credentials.conf", drop_in)
    return tmp_path


def test_systemd_understands_them(units: Path) -> None:
    """``systemd-analyze verify`` prints a line for each key that it does not know."""
    analyze = tool("systemd-analyze")
    names = ("broker-plugin@score.service", "broker-plugin-topics.service", "broker-plugin.target")
    done = run(analyze, "verify", "--man=no", *(units / name for name in names))
    ours = [line for line in done.stderr.splitlines() if "broker-plugin" in line]
    assert (done.returncode, ours) == (0, [])


@pytest.mark.parametrize("name", ["broker-plugin@score.service", "broker-plugin-topics.service"])
def test_they_are_hardened(units: Path, name: str) -> None:
    """``systemd-analyze security`` fails above the threshold."""
    analyze = tool("systemd-analyze")
    done = run(analyze, "security", "--offline=true", f"--threshold={EXPOSURE}", "--no-pager", units / name)
    if "unrecognized option" in done.stderr:
        pytest.skip("systemd-analyze security --offline needs systemd 252")
    assert done.returncode == 0, done.stdout


def test_what_they_set_exists() -> None:
    """The variables are settings; the exit codes that no restart mends are those of our errors."""
    unit = (UNITS / "broker-plugin@.service").read_text()
    variables = dict(re.findall(r"^Environment=(BROKER_PLUGIN_\w+)=(\S+)$", unit, re.MULTILINE))
    del variables["BROKER_PLUGIN_CONFIG"]
    variables = {name: re.sub(r"%\w", "x", value) for name, value in variables.items()}
    assert load_config(None, variables).runner.instance_id == "x-x"
    codes = re.search(r"^RestartPreventExitStatus=(.+)$", unit, re.MULTILINE)
    assert codes is not None
    expected = {error.exit_code for error in (ConfigurationError, BundleError, InputError)}
    assert {int(code) for code in codes.group(1).split()} == expected


def test_workers_of_one_machine_do_not_share_a_port() -> None:
    """One file for each stage."""
    ports = {
        stage: re.search(r"METRICS__PORT=(\d+)", (UNITS / f"{stage}.env").read_text()) for stage in STAGES
    }
    assert len({found.group(1) for found in ports.values() if found is not None}) == len(STAGES)
