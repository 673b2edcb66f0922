"""From a file and the environment to one tree, or to one message that names every mistake."""

from __future__ import annotations

from pathlib import Path

import pytest

from broker_plugin.config import Config, load_config
from broker_plugin.errors import ConfigurationError

EXAMPLES = sorted((Path(__file__).resolve().parents[2] / "deploy" / "examples").glob("*.toml"))


def write(folder: Path, text: str) -> Path:
    path = folder / "site.toml"
    path.write_text(text)
    return path


def refusal(path: Path | None, environment: dict[str, str]) -> str:
    with pytest.raises(ConfigurationError) as caught:
        load_config(path, environment)
    return str(caught.value)


def test_nothing_given_means_defaults() -> None:
    """No file, no variables: a laptop's settings, and names that follow from the prefix."""
    config = load_config(None, {})
    assert config.prefix == "variables"
    assert config.source_topics == ("variables.alerts",)
    assert config.source_bootstrap == config.kafka.bootstrap == "localhost:9092"
    assert config.topic("photometry") == "variables.photometry"


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_shipped_example_is_valid(path: Path) -> None:
    """Each file in deploy/examples loads as it is."""
    assert isinstance(load_config(path, {}), Config)


def test_there_are_examples() -> None:
    """The glob above found something."""
    assert {path.stem for path in EXAMPLES} >= {"laptop", "ztf"}


def test_file_overrides_default_and_environment_overrides_file(tmp_path: Path) -> None:
    """The later source wins, key by key."""
    path = write(tmp_path, "[topics]\npartitions = 12\nreplication = 3\n")
    config = load_config(path, {"BROKER_PLUGIN_TOPICS__PARTITIONS": "24"})
    assert (config.topics.partitions, config.topics.replication) == (24, 3)


def test_all_problems_are_named_at_once(tmp_path: Path) -> None:
    """An unknown section, an unknown key, a wrong type, a wrong value and a wrong variable: one message."""
    path = write(
        tmp_path,
        '[acumulate]\nx = 1\n[score]\nruntme = "onnx"\n'
        '[accumulate]\nrescore_after = "many"\nwindow = "newest"\n',
    )
    message = refusal(path, {"BROKER_PLUGIN_METRICS__PORT": "99999"})
    lines = message.splitlines()
    assert lines[0] == "the configuration has 5 problems:"
    for part in (
        f"{path}: unknown key acumulate; did you mean accumulate?",
        f"{path}: unknown key score.runtme; did you mean score.runtime?",
        f'{path}: accumulate.rescore_after = "many": expected a valid integer',
        f"{path}: accumulate.window = \"newest\": expected 'latest' or 'paper'",
        "environment variable BROKER_PLUGIN_METRICS__PORT: metrics.port = 99999: expected less than or equal",
    ):
        assert sum(part in line for line in lines) == 1, (part, message)


def test_key_in_the_wrong_section_is_sent_to_the_right_one(tmp_path: Path) -> None:
    """batch_records under [accumulate] belongs to [runner]."""
    message = refusal(write(tmp_path, "[accumulate]\nbatch_records = 100\n"), {})
    assert "unknown key accumulate.batch_records; did you mean runner.batch_records?" in message


def test_name_like_no_other_lists_the_known_ones(tmp_path: Path) -> None:
    """Nothing is near: the section's keys are listed."""
    message = refusal(write(tmp_path, "[log]\nzzz = 1\n"), {})
    assert "unknown key log.zzz; known here: level, format" in message


@pytest.mark.parametrize("value", ['"8"', "true", "8.5", "nan", "0"])
def test_integer_must_be_written_as_a_positive_integer(tmp_path: Path, value: str) -> None:
    """Text, booleans, fractions, NaN and zero are no count of partitions."""
    assert "topics.partitions" in refusal(write(tmp_path, f"[topics]\npartitions = {value}\n"), {})


@pytest.mark.parametrize("value", ["nan", "inf", "-1.0", "0.0"])
def test_durations_are_positive_and_finite(tmp_path: Path, value: str) -> None:
    """A batch cannot wait for ever, nor less than nothing."""
    assert "runner.batch_seconds" in refusal(write(tmp_path, f"[runner]\nbatch_seconds = {value}\n"), {})


def test_unknown_variable_is_an_error() -> None:
    """A misspelt variable would otherwise silently do nothing."""
    message = refusal(None, {"BROKER_PLUGIN_ACCUMULATE__RESCORE_AFTR": "5"})
    assert (
        "environment variable BROKER_PLUGIN_ACCUMULATE__RESCORE_AFTR: unknown key accumulate.rescore_aftr; "
        "did you mean accumulate.rescore_after?"
    ) in message


def test_kubernetes_service_variables_are_not_ours() -> None:
    """A Service named broker-plugin puts its address into every pod's environment."""
    load_config(
        None,
        {
            "BROKER_PLUGIN_SERVICE_HOST": "10.0.0.1",
            "BROKER_PLUGIN_SERVICE_PORT": "9464",
            "BROKER_PLUGIN_SERVICE_PORT_METRICS": "9464",
            "BROKER_PLUGIN_PORT": "tcp://10.0.0.1:9464",
            "BROKER_PLUGIN_PORT_9464_TCP": "tcp://10.0.0.1:9464",
            "BROKER_PLUGIN_PORT_9464_TCP_PROTO": "tcp",
            "BROKER_PLUGIN_PORT_9464_TCP_PORT": "9464",
            "BROKER_PLUGIN_PORT_9464_TCP_ADDR": "10.0.0.1",
        },
    )


def test_variables_take_the_type_of_their_key() -> None:
    """Lists by commas or JSON, booleans by words, paths and digits as text, empty for not set."""
    config = load_config(
        None,
        {
            "BROKER_PLUGIN_SOURCE__TOPICS": "night_1, night_2",
            "BROKER_PLUGIN_METRICS__ENABLED": "off",
            "BROKER_PLUGIN_RUNNER__INSTANCE_ID": "0",
            "BROKER_PLUGIN_RUNNER__BATCH_SECONDS": "0.5",
            "BROKER_PLUGIN_SCORE__THREADS": "",
            "BROKER_PLUGIN_ACCUMULATE__STATE_DIRECTORY": "/var/lib/x",
            "BROKER_PLUGIN_KAFKA__OPTIONS": '{"security.protocol": "SSL"}',
        },
    )
    assert config.source.topics == ("night_1", "night_2")
    assert config.metrics.enabled is False
    assert config.runner.instance_id == "0"
    assert config.runner.batch_seconds == 0.5
    assert config.score.threads is None
    assert config.accumulate.state_directory == Path("/var/lib/x")
    assert config.kafka.options == {"security.protocol": "SSL"}


def test_one_librdkafka_option_from_the_environment_joins_those_of_the_file(tmp_path: Path) -> None:
    """Underscores stand for dots; the other options stay."""
    path = write(tmp_path, '[kafka]\noptions = { "sasl.username" = "me" }\n')
    config = load_config(path, {"BROKER_PLUGIN_KAFKA__OPTIONS__SASL_PASSWORD": "12 34"})
    assert config.kafka.options == {"sasl.username": "me", "sasl.password": "12 34"}


def test_secret_from_a_mounted_file(tmp_path: Path) -> None:
    """_FILE names a file; its last line end is not part of the secret."""
    secret = tmp_path / "secret"
    secret.write_text("hunter2\n")
    config = load_config(None, {"BROKER_PLUGIN_KAFKA__OPTIONS__SASL_PASSWORD_FILE": str(secret)})
    assert config.kafka.options == {"sasl.password": "hunter2"}


def test_secret_file_that_is_not_there(tmp_path: Path) -> None:
    """The variable and the file are named."""
    message = refusal(None, {"BROKER_PLUGIN_KAFKA__OPTIONS__SASL_PASSWORD_FILE": str(tmp_path / "no")})
    assert "BROKER_PLUGIN_KAFKA__OPTIONS__SASL_PASSWORD_FILE" in message
    assert str(tmp_path / "no") in message


def test_dotted_option_without_quotes_is_understood(tmp_path: Path) -> None:
    """TOML reads security.protocol = ... as a table in a table; librdkafka's name was meant."""
    path = write(tmp_path, '[kafka.options]\nsecurity.protocol = "SSL"\nssl.ca.location = "/ca.pem"\n')
    assert load_config(path, {}).kafka.options == {"security.protocol": "SSL", "ssl.ca.location": "/ca.pem"}


def test_option_that_exactly_once_needs_is_refused(tmp_path: Path) -> None:
    """isolation.level and the group id are not for the user to change."""
    path = write(tmp_path, '[kafka]\nconsumer_options = { "isolation.level" = "read_uncommitted" }\n')
    message = refusal(path, {})
    assert "kafka.consumer_options: 'isolation.level' cannot be set here (exactly-once needs" in message


def test_our_credentials_stay_at_home(tmp_path: Path) -> None:
    """With a source of its own, kafka.options go to our cluster only."""
    text = '[kafka]\noptions = { "sasl.password" = "ours" }\n[source]\nbootstrap = "elsewhere:9092"\n'
    assert load_config(write(tmp_path, text), {}).source_options == {}
    text = '[kafka]\noptions = { "sasl.password" = "ours" }\n'
    assert load_config(write(tmp_path, text), {}).source_options == {"sasl.password": "ours"}


def test_limits_that_contradict_each_other(tmp_path: Path) -> None:
    """Ranges and orders are checked across keys."""
    message = refusal(
        write(
            tmp_path,
            "[score]\nperiod_min_days = 5.0\nperiod_max_days = 2.0\n"
            "[runner]\ntransaction_timeout_seconds = 60.0\n",
        ),
        {},
    )
    assert "period_min_days (5) must be below period_max_days (2)" in message
    assert "transaction_timeout_seconds (60) must be below session_timeout_seconds (45)" in message


def test_value_where_a_table_belongs(tmp_path: Path) -> None:
    """A line kafka = 3 in the file, and a variable that sets a key in it."""
    message = refusal(write(tmp_path, "kafka = 3\n"), {"BROKER_PLUGIN_KAFKA__BOOTSTRAP": "a:1"})
    assert "kafka is a value in the file, expected a table" in message


@pytest.mark.parametrize("content", [b"[kafka\n", b"\xff\xfe", b"a = 1\na = 2\n"])
def test_file_that_is_no_toml(tmp_path: Path, content: bytes) -> None:
    """The file is named, and where the parser stopped."""
    path = tmp_path / "broken.toml"
    path.write_bytes(content)
    assert f"the configuration file {path} is not valid TOML" in refusal(path, {})


def test_file_that_is_not_there(tmp_path: Path) -> None:
    """The path is named."""
    assert f"{tmp_path / 'no.toml'} cannot be read" in refusal(tmp_path / "no.toml", {})


def test_configuration_cannot_be_changed() -> None:
    """It is shared between threads."""
    config = load_config(None, {})
    with pytest.raises(ValueError, match="frozen"):
        config.prefix = "other"  # type: ignore[misc]  # that it fails is the test
