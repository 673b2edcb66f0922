"""From our topic to somebody else: at least once, refused records aside, trouble waited out."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import pytest

from broker_plugin.app.forward import Attempt, Forwarder
from broker_plugin.app.kafka_courier import KafkaCourier
from broker_plugin.errors import AccessError, BrokerUnreachableError, FatalBusError, TopicError
from broker_plugin.records.codec import decode_dead_letter
from broker_plugin.runner.bus import TopicSpec, read_topic
from broker_plugin.runner.memory import MemoryBus
from broker_plugin.runner.protocols import Message, Observation, Output, Partition
from broker_plugin.runner.sensor import NullSensor
from broker_plugin.runner.settings import Clock
from broker_plugin.stages.dead_letters import dead_letter_output

TOPIC = "t.output.a"


class Ticking:
    """A clock that moves when somebody waits, so that no test does."""

    def __init__(self, step: float) -> None:
        self.now, self.step = 0.0, step

    def clock(self) -> Clock:
        return Clock(self.monotonic, self.monotonic, self.sleep)

    def monotonic(self) -> float:
        self.now += self.step
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class Scripted:
    """A courier that does what it is told, then takes everything."""

    def __init__(self, *attempts: Attempt) -> None:
        self.script = list(attempts)
        self.calls: list[list[bytes | None]] = []
        self.taken: list[bytes | None] = []
        self.closed = False

    def deliver(self, messages: Sequence[Message]) -> Attempt:
        self.calls.append([message.value for message in messages])
        attempt = self.script.pop(0) if self.script else Attempt(len(messages))
        refused = {i for i, _ in attempt.refused}
        self.taken += [m.value for i, m in enumerate(messages[: attempt.done]) if i not in refused]
        return attempt

    def close(self) -> None:
        self.closed = True


class Counting(NullSensor):
    def __init__(self) -> None:
        self.seen: list[tuple[str, float, dict[str, str]]] = []
        self.turns = 0
        self.rejoins = 0

    def on_turn(self, stage: str) -> None:
        assert stage == "forward-a"
        self.turns += 1

    def on_rejoin(self, stage: str, reason: str) -> None:
        self.rejoins += 1

    def on_observations(self, stage: str, observations: Sequence[Observation]) -> None:
        self.seen += [(o.name, o.value, dict(o.labels)) for o in observations]


@pytest.fixture
def bus() -> MemoryBus:
    bus = MemoryBus()
    bus.create_topics([TopicSpec(TOPIC, 2), TopicSpec("t.dead-letters", 1)])
    return bus


def fill(bus: MemoryBus, *values: bytes, key: bytes = b"k") -> None:
    producer = bus.producer()
    for value in values:
        producer.send(Output(TOPIC, key, value, headers=(("_id", value),)))
    producer.flush()
    producer.close()


def forwarder(
    bus: MemoryBus, courier: object, sensor: NullSensor | None = None, *, batch: int = 3, step: float = 1.0
) -> Forwarder:
    return Forwarder(
        "a",
        [TOPIC],
        bus,
        courier,  # type: ignore[arg-type]
        group="t.forward-a",
        dead_letter_output=dead_letter_output("t"),
        batch_records=batch,
        sensor=sensor,
        clock=Ticking(step).clock(),
    )


def committed(bus: MemoryBus) -> int:
    partitions = [Partition(TOPIC, n) for n in range(2)]
    return sum(offset or 0 for offset in bus.committed("t.forward-a", partitions).values())


def test_all_records_in_order_and_in_batches(bus) -> None:
    """Then the positions are committed, and the next start begins after them."""
    values = [b"%d" % i for i in range(7)]
    fill(bus, *values)
    courier = Scripted()
    first = forwarder(bus, courier)
    first.run_until_idle()
    assert courier.taken == values
    assert max(map(len, courier.calls)) == 3
    assert committed(bus) == 7
    first.stop()
    first.run()
    assert courier.closed

    fill(bus, b"new")
    second = Scripted()
    forwarder(bus, second).run_until_idle()
    assert second.taken == [b"new"]


def test_death_between_delivery_and_commit_delivers_again(bus) -> None:
    """At least once: nothing is lost, the batch comes twice."""
    fill(bus, b"1", b"2")

    class Dying(Scripted):
        def deliver(self, messages: Sequence[Message]) -> Attempt:
            super().deliver(messages)
            raise KeyboardInterrupt

    dying = Dying()
    with pytest.raises(KeyboardInterrupt):
        forwarder(bus, dying).run()
    again = Scripted()
    forwarder(bus, again).run_until_idle()
    assert dying.calls == again.calls == [[b"1", b"2"]]


def test_trouble_is_waited_out_and_counted(bus) -> None:
    """Unreachable, throttled, blocked: the records stay, the membership is kept by polling."""
    fill(bus, b"1", b"2")
    courier = Scripted(
        Attempt(0, trouble="unreachable", detail="no answer"),
        Attempt(0, trouble="throttled", detail="429", retry_after_seconds=50.0),
        Attempt(1, trouble="blocked", detail="401", retry_after_seconds=20.0),
    )
    sensor = Counting()
    forwarder(bus, courier, sensor, step=8.0).run_until_idle(timeout_seconds=1e6)
    assert courier.taken == [b"1", b"2"]
    assert courier.calls == [[b"1", b"2"]] * 3 + [[b"2"]]
    failures = [labels["reason"] for name, _, labels in sensor.seen if name == "forward_failures_total"]
    assert failures == ["unreachable", "throttled", "blocked"]
    sent = sum(value for name, value, _ in sensor.seen if name == "forwarded_total")
    assert sent == 2
    assert sensor.turns > len(courier.calls)


def test_refused_record_becomes_a_dead_letter_and_the_rest_goes_on(bus) -> None:
    """The consumer will never take it; its reason is kept with it."""
    fill(bus, b"1", b"2", b"3")
    courier = Scripted(Attempt(3, refused=((1, "400: classification too long"),)))
    sensor = Counting()
    forwarder(bus, courier, sensor).run_until_idle()
    assert courier.taken == [b"1", b"3"]
    (letter,) = [decode_dead_letter(m.value or b"") for m in read_topic(bus, "t.dead-letters")]
    assert (letter.stage, letter.reason, letter.value) == ("forward-a", "refused_by_consumer", b"2")
    assert letter.detail == "400: classification too long"
    assert committed(bus) == 3
    assert ("dead_letters_total", 1, {"stage": "forward-a", "reason": "refused_by_consumer"}) in sensor.seen


def test_membership_lost_and_our_own_cluster_in_trouble(bus) -> None:
    """The group is joined anew, what waited is read again."""
    fill(bus, b"1", b"2")
    bus.fail_next("poll", FatalBusError("broken"))
    sensor = Counting()
    courier = Scripted()
    forwarder(bus, courier, sensor).run_until_idle()
    assert courier.taken == [b"1", b"2"]
    assert sensor.rejoins == 1


def test_cluster_that_stays_broken_ends_it(bus) -> None:
    """The error is raised: a supervisor should know."""
    bus.fail_next("poll", BrokerUnreachableError("gone"), times=100)
    with pytest.raises(BrokerUnreachableError, match="gone"):
        forwarder(bus, Scripted()).run_until_idle()


def test_missing_topic_names_the_cure(bus) -> None:
    """Outputs were added to the configuration, and their topics not yet to the cluster."""
    other = Forwarder("a", ["t.none"], bus, Scripted(), group="g", dead_letter_output=dead_letter_output("t"))
    with pytest.raises(TopicError, match="topics create"):
        other.run()


def test_records_of_a_partition_that_went_are_left_to_its_next_owner(bus) -> None:
    """Two forwarders share the work; together they take everything, and stop when told."""
    for number in range(20):
        fill(bus, b"%d" % number, key=b"%d" % number)
    couriers = [Scripted(), Scripted()]
    both = [forwarder(bus, courier, batch=2) for courier in couriers]
    threads = [threading.Thread(target=each.run) for each in both]
    for thread in threads:
        thread.start()
    waiting = threading.Event()
    for _ in range(600):
        if {v for c in couriers for v in c.taken} == {b"%d" % n for n in range(20)}:
            break
        waiting.wait(0.05)
    for each in both:
        each.stop()
    for thread in threads:
        thread.join(60)
    assert {v for c in couriers for v in c.taken} == {b"%d" % n for n in range(20)}
    assert committed(bus) == 20


def test_kafka_courier_keeps_key_value_and_headers() -> None:
    """Into the topic of theirs."""
    theirs = MemoryBus()
    theirs.create_topics([TopicSpec("user.variables", 1)])
    courier = KafkaCourier(theirs, lambda topic: {"ours": "user.variables"}[topic])
    messages = [Message("ours", 0, i, b"key", b"%d" % i, 0, (("_format", b"json"),)) for i in range(3)]
    assert courier.deliver(messages) == Attempt(3)
    courier.close()
    found = list(read_topic(theirs, "user.variables"))
    assert [(m.key, m.value, m.headers) for m in found] == [(m.key, m.value, m.headers) for m in messages]


@pytest.mark.parametrize(
    ("error", "trouble"),
    [
        (BrokerUnreachableError("no answer"), "unreachable"),
        (AccessError("no such password"), "blocked"),
        (TopicError("no rights"), "blocked"),
        (FatalBusError("broken"), "blocked"),
    ],
)
def test_kafka_courier_names_the_trouble(error, trouble) -> None:
    """Then it tries with a new producer."""
    theirs = MemoryBus()
    theirs.create_topics([TopicSpec("there", 1)])
    theirs.fail_next("send", error)
    courier = KafkaCourier(theirs, lambda _: "there")
    message = Message("ours", 0, 0, None, b"1")
    attempt = courier.deliver([message])
    assert (attempt.done, attempt.trouble) == (0, trouble)
    assert courier.deliver([message]) == Attempt(1)
    assert len(list(read_topic(theirs, "there"))) == 1
