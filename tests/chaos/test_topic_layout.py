"""Topics that would lose records or state: refused at the start, with the command that mends them."""

from __future__ import annotations

from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient, NewPartitions

from broker_plugin.errors import TopicError
from broker_plugin.runner.bus import TopicSpec
from broker_plugin.runner.topics import plan_topics
from tests.chaos import kafka_tools
from tests.chaos.harness import Installation
from tests.chaos.load import light_curves

pytestmark = pytest.mark.kafka


@pytest.fixture
def bare(kafka_bootstrap: str, prefix: str, tmp_path: Path):
    """Return an installation without topics, to be configured with 4 partitions."""
    with Installation(kafka_bootstrap, prefix, tmp_path) as it:
        yield it


def refusal(it: Installation, stages: str = "accumulate") -> str:
    """Start a worker, which must refuse; return why."""
    worker = it.worker("a", stages=stages)
    assert worker.wait() == TopicError.exit_code, worker.output
    assert "Traceback" not in worker.output
    return worker.output


def obey(it: Installation, message: str) -> None:
    """Do what the message says, word by word."""
    kafka_tools.obey(message, lambda: it.command("topics", "create"))


def alter_partitions(it: Installation, topic: str, count: int) -> None:
    admin = AdminClient({"bootstrap.servers": it.bootstrap})
    for future in admin.create_partitions([NewPartitions(topic, count)]).values():
        future.result(120)


def test_plan_create_verify(bare: Installation) -> None:
    """The plan needs no Kafka; verify names what is missing; create makes it; then a worker runs."""
    plan = bare.command("topics", "plan", KAFKA__BOOTSTRAP="127.0.0.1:1")
    assert plan.returncode == 0
    planned = {line.split()[0]: line for line in plan.stdout.splitlines()}
    assert "partitions=4" in planned[f"{bare.prefix}.changelog"]
    assert "cleanup.policy=compact" in planned[f"{bare.prefix}.changelog"]

    missing = bare.command("topics", "verify")
    assert missing.returncode == TopicError.exit_code
    assert all(f"topic {name} does not exist" in missing.stderr for name in planned)
    assert "run 'broker-plugin topics create'" in refusal(bare)

    created = bare.command("topics", "create")
    assert created.returncode == 0
    assert {line.split()[1] for line in created.stdout.splitlines()} == planned.keys()
    assert bare.command("topics", "verify").returncode == 0
    assert bare.bus.partition_counts(list(planned)) == {
        name: int(line.split("partitions=")[1].split()[0]) for name, line in planned.items()
    }
    with bare.feed(light_curves(1, n_objects=5)):
        worker = bare.worker("a")
    bare.wait_until_idle()
    assert worker.terminate() == 0
    bare.check()


@pytest.mark.parametrize("topic", [pytest.param("photometry", marks=pytest.mark.long), "changelog"])
def test_wrong_number_of_partitions(bare: Installation, topic: str) -> None:
    """One of the two was made by hand with 3; deleted and created as the message says, it runs."""
    bare.bus.create_topics(
        [
            TopicSpec(spec.name, 3 if spec.name.endswith(topic) else spec.partitions, spec.config)
            for spec in plan_topics(bare.prefix, 4)
        ]
    )
    expected = f"topic {bare.prefix}.{topic} has 3 partitions, expected 4 (topics.partitions)"
    assert expected in refusal(bare)
    assert expected in bare.command("topics", "verify").stderr

    obey(bare, refusal(bare))
    with bare.feed(light_curves(1, n_objects=5)):
        worker = bare.worker("a")
    bare.wait_until_idle()
    assert worker.terminate() == 0
    bare.check()


def test_partitions_were_added_while_live(installation: Installation) -> None:
    """With more partitions objects would change places and leave their state behind: nobody goes on.

    Not the worker that runs; not the next one, whether one of the topics was altered or both, or the setting
    with them; nor ingest, which would write to the wrong places. Begun anew as told, it works.
    """
    changelog = f"{installation.prefix}.changelog"
    records = light_curves(1, n_objects=5)
    with installation.feed(records):
        worker = installation.worker("a", KAFKA__OPTIONS__TOPIC_METADATA_REFRESH_INTERVAL_MS="1000")
    installation.wait_until_idle()
    alter_partitions(installation, installation.photometry, 6)
    assert worker.wait() == TopicError.exit_code, worker.output
    assert f"partitions were added to {installation.photometry}, which had 4" in worker.output

    assert f"{installation.photometry} has 6 partitions, expected 4" in refusal(installation, "ingest")
    alter_partitions(installation, changelog, 6)
    assert f"{changelog} has 6 partitions, expected 4" in refusal(installation)
    installation.partitions = 6
    message = refusal(installation)
    assert f"was made with partitions=4 of {installation.photometry}, which has 6 now" in message

    alter_partitions(installation, f"{installation.prefix}.lightcurves", 6)
    alter_partitions(installation, f"{installation.prefix}.classifications", 6)
    obey(installation, message)
    with installation.feed(records):
        worker = installation.worker("a")
    installation.wait_until_idle()
    assert worker.terminate() == 0, worker.output


@pytest.mark.long
def test_changelog_that_is_not_compacted(bare: Installation) -> None:
    """Made by hand with Kafka's default policy; the command in the message mends it."""
    bare.bus.create_topics(
        [
            TopicSpec(spec.name, spec.partitions, {} if spec.name.endswith("changelog") else spec.config)
            for spec in plan_topics(bare.prefix, 4)
        ]
    )
    message = refusal(bare)
    assert f"topic {bare.prefix}.changelog has cleanup.policy=delete, expected compact" in message
    obey(bare, message)
    with bare.feed(light_curves(1, n_objects=5)):
        worker = bare.worker("a")
    bare.wait_until_idle()
    assert worker.terminate() == 0
    bare.check()
