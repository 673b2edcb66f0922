"""Topics that would lose records or state are refused before the first record is read."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from broker_plugin.errors import ConfigurationError, TopicError
from broker_plugin.runner.bus import Bus, TopicSpec
from broker_plugin.runner.loop import Runner
from broker_plugin.runner.memory import MemoryBus
from broker_plugin.runner.protocols import Partition
from broker_plugin.runner.topics import (
    check_layout,
    compare_topics,
    create_missing,
    plan_topics,
    refuse_new,
    verify_topics,
)
from tests.runner.counting import CountingStage, dead_letter_to, fill, topic_specs
from tests.runner.test_exactly_once import runner_settings

COMPACT = {"cleanup.policy": "compact"}


def start(bus: Bus, prefix: str, specs: Sequence[TopicSpec]) -> None:
    bus.create_topics(specs)
    outputs = [f"{prefix}.out"]
    with Runner(
        CountingStage(prefix), bus, dead_letter_to(prefix), runner_settings(prefix), output_topics=outputs
    ) as runner:
        runner.run_until_idle(30)


def test_partition_counts_that_differ_are_refused(bus: Bus, prefix: str) -> None:
    """Two input partitions and three of the changelog: the error names both and the command."""
    specs = [
        TopicSpec(f"{prefix}.in", 2),
        TopicSpec(f"{prefix}.changelog", 3, COMPACT),
        TopicSpec(f"{prefix}.out", 1),
    ]

    with pytest.raises(TopicError) as caught:
        start(bus, prefix, specs)

    assert f"partitions of {prefix}.in (2) and {prefix}.changelog (3) differ" in str(caught.value)
    assert "broker-plugin topics create" in str(caught.value)
    assert caught.value.exit_code == 5


@pytest.mark.parametrize("missing", ["in", "changelog", "out"])
def test_a_missing_topic_is_refused(bus: Bus, prefix: str, missing: str) -> None:
    """Input, changelog or output does not exist."""
    specs = [
        TopicSpec(f"{prefix}.in", 1),
        TopicSpec(f"{prefix}.changelog", 1, COMPACT),
        TopicSpec(f"{prefix}.out", 1),
    ]

    with pytest.raises(TopicError, match=rf"topic {prefix}\.{missing} of stage count does not exist: run"):
        start(bus, prefix, [spec for spec in specs if not spec.name.endswith(missing)])


def test_a_changelog_that_is_not_compacted_is_refused(bus: Bus, prefix: str) -> None:
    """With the default policy the broker would delete state after a week."""
    specs = [TopicSpec(f"{prefix}.in", 1), TopicSpec(f"{prefix}.changelog", 1), TopicSpec(f"{prefix}.out", 1)]

    with pytest.raises(TopicError, match=r"has cleanup.policy=delete, expected compact"):
        start(bus, prefix, specs)


def test_a_stage_with_state_has_one_input() -> None:
    """Equal partitions of two topics may go to different workers."""
    bus = MemoryBus()
    bus.create_topics([TopicSpec(name, 1, COMPACT) for name in ("t.in", "t.more", "t.changelog")])
    stage = CountingStage("t")
    stage.input_topics = ["t.in", "t.more"]

    with pytest.raises(ConfigurationError, match="expected exactly one"):
        Runner(stage, bus, dead_letter_to("t"), runner_settings("t")).run()


def test_the_plan_is_created_once_and_then_verified(bus: Bus, prefix: str) -> None:
    """Every stage's topics, state included; creating again creates nothing; verifying finds nothing."""
    plan = plan_topics(prefix, 3)
    keyed = ("photometry", "lightcurves", "classifications", "objects")
    states = ("changelog", "score-changelog", "combine-changelog")
    others = ("novelties", "dead-letters", "redriven", "labels", "bootstrapped")

    assert sorted(create_missing(bus, plan)) == sorted(f"{prefix}.{n}" for n in (*keyed, *states, *others))
    assert {spec.partitions for spec in plan if spec.name.split(".")[1] in (*keyed, *states)} == {3}
    assert create_missing(bus, plan) == []
    assert verify_topics(bus, plan) == []
    problems = verify_topics(bus, plan_topics(prefix, 4))
    assert len(problems) == len((*keyed, *states))
    assert problems[0].startswith(f"topic {prefix}.photometry has 3 partitions, expected 4")


def test_comparison_names_each_problem_and_its_cure() -> None:
    """Missing, wrong count, wrong policy: one line each."""
    wanted = [TopicSpec("a", 2), TopicSpec("b", 2), TopicSpec("c", 2, COMPACT), TopicSpec("d", 1)]
    counts = {"a": None, "b": 3, "c": 2, "d": 1}
    configs = {name: {"cleanup.policy": "delete"} for name in "bcd"}

    problems = compare_topics(wanted, counts, configs, "kafka-1:9092")

    assert problems[0] == "topic a does not exist: run 'broker-plugin topics create'"
    assert problems[1].startswith("topic b has 3 partitions, expected 2")
    assert "(kafka-topics.sh --bootstrap-server kafka-1:9092 --delete --topic b)" in problems[1]
    assert "topic c has cleanup.policy=delete, expected compact" in problems[2]
    assert "kafka-configs.sh --bootstrap-server kafka-1:9092 --alter" in problems[2]
    assert "--add-config cleanup.policy=compact" in problems[2]
    assert len(problems) == 3


def test_state_of_another_number_of_partitions_is_refused(bus: Bus, prefix: str) -> None:
    """All topics have the same number, and it is not the one that the state was made with.

    Neither they nor the configuration could tell; what was committed with the offsets does.
    """
    start(bus, prefix, topic_specs(prefix, partitions=2))
    fill(bus, prefix, 10)
    start(bus, prefix, [])
    assert set(bus.notes(f"{prefix}.count", [Partition(f"{prefix}.in", 0)]).values()) == {"partitions=2"}

    stage = CountingStage(prefix)
    check_layout(bus, stage, f"{prefix}.count", 2)
    with pytest.raises(
        TopicError, match=rf"was made with partitions=2 of {prefix}.in, which has 3 now"
    ) as it:
        check_layout(bus, stage, f"{prefix}.count", 3)

    assert f"kafka-topics.sh --bootstrap-server {bus.address} --delete --topic {prefix}.in" in str(it.value)


def test_partitions_that_come_while_a_stage_runs_are_refused() -> None:
    """Both topics were altered: the worker that is given a partition of a later time ends."""
    counts = {"t.in": 4}
    refuse_new([Partition("t.in", 3)], counts)
    with pytest.raises(TopicError, match=r"partitions were added to t\.in, which had 4"):
        refuse_new([Partition("t.in", 3), Partition("t.in", 4)], counts)
