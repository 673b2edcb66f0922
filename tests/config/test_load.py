"""From a file and the environment to one tree, or to one message that names every mistake."""

from __future__ import annotations

import re
import tomllib
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from broker_plugin.cli import main
from broker_plugin.config import load_config
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


def secrets_of(path: Path, folder: Path) -> dict[str, str]:
    """Return the variables that an example's comments tell to set, each file made."""
    environment = {}
    for variable, value in re.findall(r"^# +(BROKER_PLUGIN_\w+)=(\S+)$", path.read_text(), re.MULTILINE):
        if variable.endswith("_FILE"):
            secret = folder / Path(value).name
            secret.write_text(
                "https://me:0123456789abcdef@host\n" if "URL" in variable else "0123456789abcdef\n"
            )
            environment[variable] = str(secret)
        else:
            environment[variable] = "pod-0"
    return environment


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_shipped_example_is_valid(path: Path, tmp_path: Path) -> None:
    """Each file in deploy/examples, with the variables that its comments name, passes check-config.

    That includes librdkafka's own opinion of the options; no secret is printed.
    """
    environment = secrets_of(path, tmp_path)
    result = CliRunner().invoke(main, ["check-config", str(path)], env=environment)
    assert result.exit_code == 0, result.output
    assert "0123456789abcdef" not in result.output
    assert "********" in result.stdout or path.stem == "laptop"
    assert (
        tomllib.loads(result.stdout)["topics"]["partitions"]
        == load_config(path, environment).topics.partitions
    )


def test_examples_cover_the_sites() -> None:
    """A laptop, ZTF in the open, LSST behind SASL and a registry, a large site."""
    examples = {path.stem: path.read_text() for path in EXAMPLES}
    assert set(examples) == {"laptop", "ztf", "lsst", "large-site"}
    ztf, lsst = (tomllib.loads(examples[name]) for name in ("ztf", "lsst"))
    assert ztf["source"]["nightly_topics"] == ["ztf_%Y%m%d_programid1"]
    assert "options" not in ztf["source"]
    assert lsst["source"]["options"]["security"]["protocol"] == "SASL_SSL"
    assert lsst["ingest"]["schema_registry_url"]


def test_nightly_topics_are_a_window_of_explicit_names() -> None:
    """The last three nights by UTC date: one second later, another one begins."""
    source = load_config(
        None,
        {
            "BROKER_PLUGIN_SOURCE__NIGHTLY_TOPICS": "ztf_%Y%m%d_programid1,ztf_%Y%m%d_programid2",
            "BROKER_PLUGIN_SOURCE__TOPICS": "extra",
            "BROKER_PLUGIN_SOURCE__NIGHTS": "2",
        },
    ).source
    before = datetime(2026, 2, 28, 23, 59, 59, tzinfo=UTC).timestamp()
    nights = ["20260227", "20260228", "20260301"]
    expected = [
        ("extra", *(f"ztf_{night}_programid{n}" for night in pair for n in (1, 2)))
        for pair in (nights[:2], nights[1:])
    ]
    assert [source.topics_at(before), source.topics_at(before + 1)] == expected


@pytest.mark.parametrize("pattern", ["ztf_programid1", "ztf_%m%d", "ztf %Y%m%d", "ztf_%Y%m", "^ztf_.*"])
def test_pattern_that_does_not_name_a_night(pattern: str) -> None:
    """A name that repeats, no topic name, a wildcard."""
    message = refusal(None, {"BROKER_PLUGIN_SOURCE__NIGHTLY_TOPICS": pattern})
    assert "source.nightly_topics" in message
    assert "expected" in message


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


SASL = '"security.protocol" = "SASL_SSL", "sasl.mechanism" = "PLAIN", "sasl.username" = "me"'


def test_one_librdkafka_option_from_the_environment_joins_those_of_the_file(tmp_path: Path) -> None:
    """Underscores stand for dots; the other options stay."""
    path = write(tmp_path, f"[kafka]\noptions = {{ {SASL} }}\n")
    config = load_config(path, {"BROKER_PLUGIN_KAFKA__OPTIONS__SASL_PASSWORD": "12 34"})
    assert config.kafka.options["sasl.password"] == "12 34"
    assert config.kafka.options["sasl.username"] == "me"


def test_secret_from_a_mounted_file(tmp_path: Path) -> None:
    """_FILE names a file; its last line end is not part of the secret."""
    secret = tmp_path / "secret"
    secret.write_text("hunter2\n")
    path = write(tmp_path, f"[kafka]\noptions = {{ {SASL} }}\n")
    config = load_config(path, {"BROKER_PLUGIN_KAFKA__OPTIONS__SASL_PASSWORD_FILE": str(secret)})
    assert config.kafka.options["sasl.password"] == "hunter2"


@pytest.mark.parametrize("key", ['"sasl.password_file"', "sasl.password_file"])
def test_secret_that_the_file_names_a_file_of(tmp_path: Path, key: str) -> None:
    """Quoted or dotted, and for our own keys, too; the environment still wins."""
    secret = tmp_path / "secret"
    secret.write_text("hunter2-hunter2-hunter2\n")
    options = SASL.replace(", ", "\n")
    text = f"[kafka.options]\n{options}\n{key} = '{secret}'\n[metrics]\ntoken_file = '{secret}'\n"
    path = write(tmp_path, text)
    config = load_config(path, {})
    assert config.kafka.options["sasl.password"] == config.metrics.token == "hunter2-hunter2-hunter2"
    other = load_config(path, {"BROKER_PLUGIN_METRICS__TOKEN": "another-token-of-16"})
    assert other.metrics.token == "another-token-of-16"


def test_secret_that_stands_in_the_file(tmp_path: Path) -> None:
    """Each is refused, with the two ways that there are, and none is repeated in the message."""
    options = SASL.replace(", ", "\n")
    path = write(
        tmp_path,
        f'[kafka.options]\n{options}\n"sasl.password" = "hunter2"\n'
        '[metrics]\ntoken = "hunter2-hunter2-hunter2"\n'
        '[ingest]\nschema_registry_url = "https://me:hunter2@registry:8081"\n',
    )
    message = refusal(path, {})
    assert "the configuration has 3 problems" in message
    assert "hunter2" not in message
    assert "kafka.options.sasl.password: holds a secret: not in this file, but in a file named by " in message
    assert "sasl.password_file, or in BROKER_PLUGIN_KAFKA__OPTIONS__SASL_PASSWORD" in message
    assert "metrics.token: holds a secret" in message
    assert "in BROKER_PLUGIN_INGEST__SCHEMA_REGISTRY_URL or in a file that BROKER_" in message


@pytest.mark.parametrize("content", [None, "", "\n"])
def test_secret_file_without_a_secret(tmp_path: Path, content: str | None) -> None:
    """Not there, or empty: the key and the file are named."""
    if content is not None:
        (tmp_path / "secret").write_text(content)
    message = refusal(write(tmp_path, f"[metrics]\ntoken_file = '{tmp_path / 'secret'}'\n"), {})
    assert f"metrics.token_file: the file '{tmp_path / 'secret'}'" in message


def test_contradictions_show_beside_slips(tmp_path: Path) -> None:
    """A misspelt key, a wrong value, a range within a section and what contradicts across sections: at once.

    What rests on the default of a wrong key is not told.
    """
    path = write(
        tmp_path,
        '[source]\ntopics = ["variables.photometry"]\nnights = 5\n'
        '[score]\nruntme = "onnx"\nperiod_min_days = 5.0\nperiod_max_days = 2.0\n'
        '[kafka]\ntimeout_seconds = 400\n[kafka.options]\nsasl.username = "me"\n'
        "[runner]\nbatch_seconds = 300\nsession_timeout_seconds = 1\n"
        '[accumulate]\nwindow = "paper"\nrescore_after = 7\n',
    )
    lines = refusal(path, {}).splitlines()
    for part in (
        "unknown key score.runtme; did you mean score.runtime?",
        "period_min_days (5) must be below period_max_days (2)",
        "runner.session_timeout_seconds = 1: expected",
        "variables.photometry is written by this installation (prefix 'variables')",
        "source.nights = 5 has no effect without source.nightly_topics",
        "kafka.timeout_seconds (400) must be below runner.max_poll_interval_seconds (300)",
        "runner.batch_seconds (300) must be below runner.max_poll_interval_seconds (300)",
        "kafka.options: sasl.username has no effect with security.protocol = 'PLAINTEXT'",
        'accumulate.rescore_after has no effect with accumulate.window = "paper"',
    ):
        assert sum(part in line for line in lines) == 1, (part, lines)
    assert lines[0] == "the configuration has 9 problems:"


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ('"security.protocol" = "SASL_SSL", "sasl.mechanism" = "PLAIN"', "sasl.username and sasl.password"),
        ('"ssl.ca.location" = "/ca.pem"', "ssl.ca.location has no effect"),
        ('"security.protocol" = "SSL", "sasl.mechanism" = "PLAIN"', "sasl.mechanism has no effect"),
        ('"security.protocol" = "sasl_ssl", "sasl.mechanism" = "OAUTHBEARER"', None),
        ('"security.protocol" = "SSL", "ssl.ca.location" = "/ca.pem"', None),
    ],
)
def test_security_options_make_a_whole(tmp_path: Path, options: str, complaint: str | None) -> None:
    """A password without a mechanism, certificates without TLS: half of it would fail, or worse, not fail."""
    path = write(tmp_path, f'[source]\nbootstrap = "survey:9092"\noptions = {{ {options} }}\n')
    if complaint is None:
        load_config(path, {})
    else:
        assert "source.options: " in refusal(path, {})
        assert complaint in refusal(path, {})


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
    ours = """
        [kafka.options]
        security.protocol = "SASL_SSL"
        sasl.mechanism = "PLAIN"
        sasl.username = "me"
    """
    secret = {"BROKER_PLUGIN_KAFKA__OPTIONS__SASL_PASSWORD": "ours"}
    elsewhere = '[source]\nbootstrap = "elsewhere:9092"\n'
    assert load_config(write(tmp_path, ours + elsewhere), secret).source_options == {}
    assert load_config(write(tmp_path, ours), secret).source_options["sasl.password"] == "ours"


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
