"""Help, exit codes, and mistakes in the call."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import pytest

from broker_plugin import errors
from broker_plugin.cli.logs import set_up_logging
from broker_plugin.cli.main import main
from broker_plugin.config.sections import LogConfig
from tests.cli.conftest import Call


def test_help_documents_every_exit_code(call: Call) -> None:
    """Whoever scripts the commands finds the codes where he looks first."""
    result = call("--help")
    assert result.exit_code == 0
    for error in vars(errors).values():
        if isinstance(error, type) and issubclass(error, errors.BrokerPluginError):
            assert f"\n    {error.exit_code}  " in result.output, error


@pytest.mark.parametrize("verb", sorted(main.commands))
def test_every_verb_has_help(call: Call, verb: str) -> None:
    """Each verb says what it does and what its options mean."""
    result = call(verb, "--help")
    assert result.exit_code == 0
    assert len(result.output.splitlines()) > 5


def test_wrong_configuration_is_one_clear_message(call: Call, tmp_path: Path) -> None:
    """Exit code 2, all mistakes, no traceback."""
    path = tmp_path / "site.toml"
    path.write_text("[acumulate]\n[topics]\npartitions = 0\n")
    result = call("topics", "plan", "--config", path)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith("broker-plugin: the configuration has 2 problems:\n")
    assert "Traceback" not in result.stderr


def test_check_config_prints_what_it_comes_to(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """File and environment together, secrets masked, explained on request."""
    path = tmp_path / "site.toml"
    path.write_text('prefix = "mine"\n')
    options = {"SECURITY_PROTOCOL": "SASL_SSL", "SASL_MECHANISM": "PLAIN", "SASL_USERNAME": "me"}
    for name, value in {**options, "SASL_PASSWORD": "hunter2"}.items():
        monkeypatch.setenv(f"BROKER_PLUGIN_KAFKA__OPTIONS__{name}", value)
    plain, explained = call("check-config", path), call("check-config", "--explain", path)
    assert plain.exit_code == explained.exit_code == 0
    assert 'prefix = "mine"' in plain.output
    assert "sasl.password" in plain.output
    assert "hunter2" not in plain.output + explained.output
    assert len(explained.output) > 2 * len(plain.output)


def test_configuration_from_the_environment(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """BROKER_PLUGIN_CONFIG names the file: for containers."""
    path = tmp_path / "site.toml"
    path.write_text('prefix = "mine"\n')
    monkeypatch.setenv("BROKER_PLUGIN_CONFIG", str(path))
    assert 'prefix = "mine"' in call("check-config").output
    assert "mine.photometry" in call("topics", "plan").output


@pytest.mark.parametrize("value", ["ingest,scroe", "", " , "])
def test_unknown_stage(call: Call, value: str) -> None:
    """The stages that exist are named."""
    result = call("run", "--stages", value)
    assert result.exit_code == 2
    assert "expected some of ingest, accumulate, score" in result.stderr


def test_log_lines(capsys: pytest.CaptureFixture[str]) -> None:
    """Both formats carry the extra fields and the exception; level and stream are as configured."""
    logger = logging.getLogger("broker_plugin.test")
    for format_ in ("json", "text"):
        set_up_logging(LogConfig.model_validate({"level": "WARNING", "format": format_}))
        logger.info("not shown")
        try:
            raise ValueError("broken")
        except ValueError:
            logger.warning("dead letter", exc_info=sys.exc_info(), extra={"offset": 7})
    out, err = capsys.readouterr()
    assert out == ""
    assert "not shown" not in err
    assert '"offset": 7' in err
    assert " offset=7" in err
    assert err.count("ValueError: broken") == 2


def test_chatter_of_libraries_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    """A line to the root logger comes from a library that speaks to its developers; warnings are kept."""
    set_up_logging(LogConfig())
    logging.info("an optional package was not found")
    logging.warning("something is wrong")
    logging.getLogger("broker_plugin.test").info("our own")
    err = capsys.readouterr().err
    assert "optional" not in err
    assert "something is wrong" in err
    assert "our own" in err
