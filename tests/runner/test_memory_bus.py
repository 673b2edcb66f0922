"""What only the in-process bus has: bounded memory, failures on demand, Kafka's hash in Python."""

from __future__ import annotations

import confluent_kafka
import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker_plugin.errors import FencedError, TopicError
from broker_plugin.runner.bus import TopicSpec, read_topic
from broker_plugin.runner.loop import Runner
from broker_plugin.runner.memory import MemoryBus
from broker_plugin.runner.memory_group import Group
from broker_plugin.runner.partitioner import partition_for
from broker_plugin.runner.protocols import Output, Partition
from tests.runner.counting import CountingStage, dead_letter_to, fill, state_of, topic_specs
from tests.runner.test_exactly_once import runner_settings, undisturbed_state


@given(st.binary(min_size=1, max_size=40), st.integers(1, 1000))
def test_the_hash_is_that_of_librdkafka(key: bytes, partitions: int) -> None:
    """The client's own murmur2 is the oracle."""
    assert partition_for(key, partitions) == confluent_kafka.murmur2(key, partitions)


def test_consumed_records_are_forgotten() -> None:
    """A long replay in portions: the input never holds more than a portion, the state stays whole."""
    bus = MemoryBus()
    bus.create_topics(topic_specs("t"))
    with Runner(CountingStage("t"), bus, dead_letter_to("t"), runner_settings("t")) as runner:
        for portion in range(5):
            fill(bus, "t", 50, first=50 * portion)
            runner.run_until_idle(30)
            bus.delete_consumed()
            assert list(read_topic(bus, "t.in")) == []

    assert state_of(bus, "t") == undisturbed_state(250)
    with Runner(CountingStage("t"), bus, dead_letter_to("t"), runner_settings("t")) as runner:
        fill(bus, "t", 50, first=250)
        assert runner.run_until_idle(30) == 50


def test_a_compacted_topic_stays_small() -> None:
    """Ten thousand updates of five keys leave no ten thousand records, and the last value of each."""
    bus = MemoryBus()
    bus.create_topics(topic_specs("t", partitions=1))
    fill(bus, "t", 5000)
    with Runner(
        CountingStage("t"), bus, dead_letter_to("t"), runner_settings("t", batch_records=500)
    ) as runner:
        runner.run_until_idle(60)

    held = list(read_topic(bus, "t.changelog"))
    assert bus.offsets(Partition("t.changelog", 0))[1] > 100
    before = {message.key: message.value for message in held if message.value is not None}
    bus.compact("t.changelog")
    bus.compact("t.changelog")
    after = list(read_topic(bus, "t.changelog"))
    assert {message.key: message.value for message in after} == {
        key: value for key, value in before.items() if key in {message.key for message in after}
    }
    assert len(after) <= 11  # five counts, up to five last values, the marker


def test_an_expired_transaction_fences_its_producer() -> None:
    """The coordinator gave up on a silent producer: its records are gone, it cannot commit."""
    bus = MemoryBus()
    bus.create_topics([TopicSpec("a", 1)])
    producer = bus.producer("p")
    producer.init_transactions()
    producer.begin()
    producer.send(Output("a", b"k", b"v"))
    bus.expire_transactions()

    with pytest.raises(FencedError):
        producer.commit()
    assert list(read_topic(bus, "a")) == []


def test_records_for_an_unknown_topic_are_refused() -> None:
    """Nothing is created by accident."""
    with pytest.raises(TopicError, match="topic nowhere does not exist"):
        MemoryBus().producer().send(Output("nowhere", b"k", b"v"))


@given(st.lists(st.sampled_from(["join", "leave", "settle"]), max_size=12), st.integers(1, 9))
def test_assignments_are_balanced_complete_and_sticky(steps: list[str], partitions: int) -> None:
    """However members come and go: everything is owned once, shares differ by one, few partitions move."""
    group = Group("g")
    everything = {Partition("a", number) for number in range(partitions)}

    def settle() -> None:
        target = group.target({"a": partitions})
        for member in group.members.values():
            kept = member.owned & target[member.name]
            assert len(kept) == min(len(member.owned), len(target[member.name]))  # none moves without need
        for member in group.members.values():
            member.owned = set(target[member.name])

    for step in steps:
        if step == "join":
            group.join(["a"])
        elif step == "leave" and group.members:
            group.leave(next(iter(group.members.values())))
        else:
            settle()
    target = group.target({"a": partitions})

    if target:
        sizes = [len(owned) for owned in target.values()]
        assert max(sizes) - min(sizes) <= 1
        assert sum(sizes) == partitions
        assert set().union(*target.values()) == everything
