"""What the runner relies on, held against the in-process bus and a real Kafka alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import pytest

from broker_plugin.errors import AbortableTransactionError, FencedError, TopicError
from broker_plugin.runner.bus import (
    Bus,
    Consumer,
    NotYetError,
    Producer,
    TopicSpec,
    read_partition,
    read_topic,
)
from broker_plugin.runner.partitioner import partition_for
from broker_plugin.runner.protocols import Message, Output, Partition

PATIENCE_SECONDS = 90.0


class Recorder:
    """A listener that remembers what it was told."""

    def __init__(self) -> None:
        self.owned: set[Partition] = set()
        self.revoked: list[Partition] = []
        self.lost: list[Partition] = []

    def on_assigned(self, partitions: Sequence[Partition]) -> None:
        self.owned.update(partitions)

    def on_revoked(self, partitions: Sequence[Partition]) -> None:
        self.owned.difference_update(partitions)
        self.revoked += partitions

    def on_lost(self, partitions: Sequence[Partition]) -> None:
        self.owned.difference_update(partitions)
        self.lost += partitions


@pytest.fixture
def topic(bus: Bus, prefix: str) -> str:
    """Return a topic with two partitions."""
    bus.create_topics([TopicSpec(f"{prefix}.a", 2)])
    return f"{prefix}.a"


def poll_until(consumer: Consumer, done: Callable[[list[Message]], bool]) -> list[Message]:
    """Poll until what came so far is enough."""
    found: list[Message] = []
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not done(found):
        assert time.monotonic() < deadline, f"only {len(found)} records came"
        found += consumer.poll(100, 0.2)
    return found


def transactional(bus: Bus, name: str) -> Producer:
    producer = bus.producer(name)
    producer.init_transactions()
    return producer


def settled(ask: Callable[[], dict[Partition, int | None]]) -> dict[Partition, int | None]:
    """Ask until the bus can tell: right after a transaction's end its markers are still under way."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return ask()
        except NotYetError:
            assert time.monotonic() < deadline
            time.sleep(0.1)


def write(bus: Bus, topic: str, values: Sequence[bytes], partition: int = 0) -> None:
    producer = bus.producer()
    for value in values:
        producer.send(Output(topic, b"k", value, partition=partition))
    producer.flush()
    producer.close()


def values(bus: Bus, topic: str) -> list[bytes | None]:
    return [message.value for message in read_topic(bus, topic, timeout_seconds=PATIENCE_SECONDS)]


def test_a_record_survives_the_round_trip(bus: Bus, topic: str) -> None:
    """Key, value, headers, partition and a plausible time arrive as sent; None stays None."""
    producer = bus.producer()
    producer.send(Output(topic, b"k", b"v", headers=(("h", b"1"), ("h", b"2")), partition=1))
    producer.send(Output(topic, b"k", None, partition=1))
    producer.flush()

    first, second = read_partition(bus, topic, 1)

    assert (first.topic, first.partition, first.offset, first.key, first.value) == (topic, 1, 0, b"k", b"v")
    assert first.headers == (("h", b"1"), ("h", b"2"))
    assert abs(first.timestamp_ms / 1000 - time.time()) < 60
    assert (second.offset, second.value, second.headers) == (1, None, ())


def test_only_committed_transactions_are_visible(bus: Bus, topic: str, prefix: str) -> None:
    """Aborted records are never seen, committed ones are, and the reader gets past both to the true end."""
    producer = transactional(bus, f"{prefix}.p")
    producer.begin()
    producer.send(Output(topic, b"k", b"aborted", partition=0))
    producer.abort()
    producer.begin()
    producer.send(Output(topic, b"k", b"committed", partition=0))
    ends = producer.commit()
    producer.begin()
    producer.send(Output(topic, b"k", b"aborted at the end", partition=0))
    producer.flush()
    producer.abort()

    assert values(bus, topic) == [b"committed"]
    (message,) = read_partition(bus, topic, 0)
    assert ends == {Partition(topic, 0): message.offset + 1}
    assert bus.offsets(Partition(topic, 0))[1] > message.offset + 1


def test_an_open_transaction_hides_what_comes_after_it_but_not_the_end(
    bus: Bus, topic: str, prefix: str
) -> None:
    """A killed owner's transaction is open: the true end lies behind what was decided since (KAFKA-10167)."""
    dead = transactional(bus, f"{prefix}.dead")
    dead.begin()
    dead.send(Output(topic, b"k", b"never", partition=0))
    dead.flush()
    living = transactional(bus, f"{prefix}.living")
    living.begin()
    living.send(Output(topic, b"k", b"decided", partition=0))
    living.commit()

    reader = bus.reader(Partition(topic, 0))
    try:
        assert reader.end >= 2
        assert reader.read(10, 1.0) == []
        assert not reader.done
        transactional(bus, f"{prefix}.dead").close()  # the successor under the same name aborts it
        deadline = time.monotonic() + PATIENCE_SECONDS
        found: list[Message] = []
        while not reader.done and time.monotonic() < deadline:
            found += reader.read(10, 1.0)
        assert [message.value for message in found] == [b"decided"]
    finally:
        reader.close()
        dead.close()


def test_a_reader_starts_where_it_is_told(bus: Bus, topic: str) -> None:
    """From an offset in the middle to the end; from the end there is nothing to read."""
    write(bus, topic, [b"%d" % n for n in range(10)])

    assert [m.offset for m in read_partition(bus, topic, 0, start_offset=7)] == [7, 8, 9]
    assert list(read_partition(bus, topic, 0, start_offset=10)) == []
    assert bus.offsets(Partition(topic, 0)) == (0, 10)
    assert bus.offsets(Partition(topic, 1)) == (0, 0)


@pytest.mark.parametrize("step", ["begin", "send", "commit"])
def test_a_newer_producer_of_the_same_name_fences_the_older(
    bus: Bus, topic: str, prefix: str, step: str
) -> None:
    """A zombie learns that it was replaced wherever it is in its transaction, and commits nothing."""
    zombie = transactional(bus, f"{prefix}.p")
    if step != "begin":
        zombie.begin()
        zombie.send(Output(topic, b"k", b"zombie", partition=0))
        zombie.flush()
    successor = transactional(bus, f"{prefix}.p")

    def go_on() -> None:
        if step == "begin":
            zombie.begin()
        if step != "commit":
            zombie.send(Output(topic, b"k", b"zombie again", partition=0))
        zombie.commit()

    with pytest.raises(FencedError):
        go_on()

    successor.begin()
    successor.send(Output(topic, b"k", b"successor", partition=0))
    successor.commit()
    zombie.close()
    assert values(bus, topic) == [b"successor"]


def test_offsets_move_with_the_transaction(bus: Bus, topic: str, prefix: str) -> None:
    """An abort leaves the group where it was; a commit moves it."""
    write(bus, topic, [b"0", b"1", b"2"])
    here = Partition(topic, 0)
    consumer = bus.consumer(f"{prefix}.g", [topic], Recorder())
    producer = transactional(bus, f"{prefix}.p")
    poll_until(consumer, lambda found: len(found) == 3)

    producer.begin()
    producer.send_offsets({here: 3}, consumer.group_metadata())
    producer.abort()
    assert settled(lambda: bus.committed(f"{prefix}.g", [here])) == {here: None}
    producer.begin()
    producer.send_offsets({here: 2}, consumer.group_metadata())
    producer.commit()

    assert settled(lambda: bus.committed(f"{prefix}.g", [here])) == {here: 2}
    assert settled(lambda: consumer.committed([here])) == {here: 2}
    consumer.close()
    again = bus.consumer(f"{prefix}.g", [topic], Recorder())
    assert [m.value for m in poll_until(again, bool)] == [b"2"]
    again.close()


def test_notes_go_with_the_offsets(bus: Bus, topic: str, prefix: str) -> None:
    """The note of the last transaction that committed; an abort or an open one changes nothing."""
    write(bus, topic, [b"0", b"1"])
    here, there = Partition(topic, 0), Partition(topic, 1)
    consumer = bus.consumer(f"{prefix}.g", [topic], Recorder())
    producer = transactional(bus, f"{prefix}.p")
    poll_until(consumer, lambda found: len(found) == 2)
    assert bus.notes(f"{prefix}.g", [here, there]) == {}

    for note, commits in (("first", True), ("aborted", False), ("second", True)):
        producer.begin()
        producer.send_offsets({here: 1}, consumer.group_metadata(), note)
        (producer.commit if commits else producer.abort)()
        expected = {here: note if commits else "first"}
        assert settled(lambda: bus.committed(f"{prefix}.g", [here])) == {here: 1}
        assert bus.notes(f"{prefix}.g", [here, there]) == expected
    producer.begin()
    producer.send_offsets({here: 2}, consumer.group_metadata(), "open")
    assert bus.notes(f"{prefix}.g", [here, there]) == {here: "second"}
    producer.abort()
    consumer.close()


def test_offsets_of_an_older_generation_are_refused(bus: Bus, topic: str, prefix: str) -> None:
    """A member noted its generation, then the group moved on: its transaction must not commit."""
    write(bus, topic, [b"0"])
    first, second = Recorder(), Recorder()
    consumer = bus.consumer(f"{prefix}.g", [topic], first)
    poll_until(consumer, bool)
    noted = consumer.group_metadata()
    other = bus.consumer(f"{prefix}.g", [topic], second)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not second.owned and time.monotonic() < deadline:
        consumer.poll(10, 0.1)
        other.poll(10, 0.1)
    assert second.owned
    producer = transactional(bus, f"{prefix}.p")
    producer.begin()
    producer.send(Output(topic, b"k", b"stale", partition=1))

    with pytest.raises(AbortableTransactionError):
        producer.send_offsets({Partition(topic, 0): 1}, noted)

    producer.abort()  # the producer lives on
    producer.begin()
    producer.send_offsets({Partition(topic, 0): 1}, consumer.group_metadata())
    producer.commit()
    zero = Partition(topic, 0)
    assert settled(lambda: bus.committed(f"{prefix}.g", [zero])) == {zero: 1}
    assert b"stale" not in values(bus, topic)
    consumer.close()
    other.close()


def test_partitions_move_one_by_one_and_nothing_is_lost(bus: Bus, topic: str, prefix: str) -> None:
    """A second member takes one of two partitions, the first keeps the other; then the first leaves."""
    write(bus, topic, [b"0"], partition=0)
    write(bus, topic, [b"1"], partition=1)
    first, second = Recorder(), Recorder()
    one = bus.consumer(f"{prefix}.g", [topic], first)
    assert len(poll_until(one, lambda found: len(found) == 2)) == 2
    two = bus.consumer(f"{prefix}.g", [topic], second)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not second.owned and time.monotonic() < deadline:
        one.poll(10, 0.1)
        two.poll(10, 0.1)

    assert len(first.owned) == len(second.owned) == 1
    assert first.owned | second.owned == {Partition(topic, 0), Partition(topic, 1)}
    assert first.revoked == list(second.owned)
    assert first.lost == []

    one.close()
    poll_until(two, lambda _: len(second.owned) == 2)
    assert second.revoked == []
    two.close()


def test_paused_partitions_are_silent_and_seeking_brings_records_back(
    bus: Bus, topic: str, prefix: str
) -> None:
    """The abort path: pause, seek back, poll nothing, resume, get the same records again."""
    write(bus, topic, [b"%d" % n for n in range(6)])
    here = Partition(topic, 0)
    consumer = bus.consumer(f"{prefix}.g", [topic], Recorder())
    poll_until(consumer, lambda found: len(found) == 6)

    consumer.pause([here])
    consumer.seek(here, 2)
    assert consumer.poll(10, 0.5) == []
    assert not consumer.at_end()
    consumer.resume([here])
    again = poll_until(consumer, lambda found: len(found) >= 4)

    assert [m.offset for m in again] == [2, 3, 4, 5]
    assert consumer.poll(10, 0.5) == []
    poll_until(consumer, lambda _: consumer.at_end())
    consumer.close()


def test_who_owns_nothing_is_not_at_the_end(bus: Bus, prefix: str) -> None:
    """A second member of a group on one partition: for all it knows, the first is dead and records wait."""
    topic = f"{prefix}.one"
    bus.create_topics([TopicSpec(topic, 1)])
    write(bus, topic, [b"0"])
    first = bus.consumer(f"{prefix}.g", [topic], Recorder())
    poll_until(first, bool)
    second = bus.consumer(f"{prefix}.g", [topic], Recorder())
    ends = []
    for _ in range(10):
        first.poll(10, 0.2)
        second.poll(10, 0.2)
        ends.append(second.at_end())
    assert not any(ends)
    poll_until(first, lambda _: first.at_end())
    first.close()
    second.close()


def test_the_end_is_not_the_end_while_a_transaction_is_open(bus: Bus, topic: str, prefix: str) -> None:
    """``at_end`` waits for what may still become visible."""
    producer = transactional(bus, f"{prefix}.p")
    producer.begin()
    producer.send(Output(topic, b"k", b"v", partition=0))
    producer.flush()
    consumer = bus.consumer(f"{prefix}.g", [topic], Recorder())
    for _ in range(5):
        assert consumer.poll(10, 0.2) == []
        assert not consumer.at_end()

    producer.commit()

    assert [m.value for m in poll_until(consumer, bool)] == [b"v"]
    poll_until(consumer, lambda _: consumer.at_end())
    consumer.close()


def test_keys_choose_the_partition_that_the_hash_names(bus: Bus, prefix: str) -> None:
    """Equal keys meet in one partition, the same on every bus; an explicit partition wins."""
    topic = f"{prefix}.seven"
    bus.create_topics([TopicSpec(topic, 7)])
    keys = [b"ztf/ZTF18aaaaaa%d" % n for n in range(40)] + [b"x", b"\xff\x00", b"lsst/169298433216610349"]
    producer = bus.producer()
    for key in keys:
        producer.send(Output(topic, key, b"v"))
    producer.flush()

    found = {message.key: message.partition for message in read_topic(bus, topic)}

    assert found == {key: partition_for(key, 7) for key in keys}


def test_topics_are_created_once_and_described(bus: Bus, prefix: str) -> None:
    """Creating again changes nothing; a missing topic has no partition count; settings can be read back."""
    name = f"{prefix}.c"
    bus.create_topics([TopicSpec(name, 3, {"cleanup.policy": "compact", "delete.retention.ms": "1000"})])
    identity = bus.topic_id(name)
    bus.create_topics([TopicSpec(name, 5)])

    assert bus.partition_counts([name, f"{prefix}.missing"]) == {name: 3, f"{prefix}.missing": None}
    assert bus.topic_config(name)["cleanup.policy"] == "compact"
    assert bus.topic_config(name)["delete.retention.ms"] == "1000"
    assert bus.topic_id(name) == identity
    assert bus.cluster_id() == bus.cluster_id() != ""


def test_deleted_records_are_gone_for_every_reader(bus: Bus, topic: str, prefix: str) -> None:
    """Records below an offset are deleted: readers and new groups begin behind them, the end stays."""
    write(bus, topic, [b"%d" % n for n in range(5)])
    here = Partition(topic, 0)

    bus.delete_records(here, before=3)

    assert bus.offsets(here) == (3, 5)
    assert [m.offset for m in read_partition(bus, topic, 0)] == [3, 4]
    consumer = bus.consumer(f"{prefix}.g", [topic], Recorder())
    assert [m.value for m in poll_until(consumer, lambda found: len(found) >= 2)] == [b"3", b"4"]
    consumer.close()
    bus.delete_records(here, before=2)  # they are gone already
    assert bus.offsets(here) == (3, 5)
    with pytest.raises(TopicError):
        bus.delete_records(here, before=6)
    bus.delete_records(here, before=5)
    assert bus.offsets(here) == (5, 5)
    assert values(bus, topic) == []


def test_lag_is_told(bus: Bus, topic: str, prefix: str) -> None:
    """The lag of an owned partition reaches zero when everything was delivered and committed."""
    write(bus, topic, [b"0", b"1"])
    lags: dict[int, int] = {}
    consumer = bus.consumer(
        f"{prefix}.g", [topic], Recorder(), lambda _topic, partition, lag: lags.__setitem__(partition, lag)
    )
    producer = transactional(bus, f"{prefix}.p")
    poll_until(consumer, lambda found: len(found) == 2)
    producer.begin()
    producer.send_offsets({Partition(topic, 0): 2}, consumer.group_metadata())
    producer.commit()

    poll_until(consumer, lambda _: lags.get(0) == 0)
    consumer.close()
