"""Stages that make every loss and every repetition visible."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from broker_plugin.records.dead_letter import DeadLetter
from broker_plugin.runner.bus import Bus, TopicSpec, read_topic
from broker_plugin.runner.protocols import Message, Observation, Output, State, StepResult

POISON = b"poison"


class CountingStage:
    """Counts the records of each key; emits ``key:count:value`` for every record."""

    name = "count"

    def __init__(self, prefix: str) -> None:
        self.input_topics: Sequence[str] = [f"{prefix}.in"]
        self.changelog_topic: str | None = f"{prefix}.changelog"
        self.output_topic = f"{prefix}.out"
        self.opened: list[int] = []
        self.batches = 0

    def step(self, batch: Sequence[Message], state: State) -> StepResult:
        self.batches += 1
        outputs = []
        new_keys = 0
        for message in batch:
            if message.value == POISON:
                raise ValueError("poisoned record")
            assert message.key is not None
            count = int(state.get(message.partition, b"n/" + message.key) or b"0") + 1
            new_keys += count == 1
            state.put(message.partition, b"n/" + message.key, b"%d" % count)
            state.put(message.partition, b"last/" + message.key, message.value)
            if count % 3 == 0:  # exercise deletions
                state.put(message.partition, b"last/" + message.key, None)
            outputs.append(
                Output(self.output_topic, message.key, b"%s:%d:%s" % (message.key, count, message.value))
            )
        return StepResult(
            outputs, [Observation("counted_total", len(batch)), Observation("keys_objects", new_keys)]
        )

    def partition_opened(self, partition: int, state: State) -> Iterable[Observation]:
        self.opened.append(partition)
        yield Observation("keys_objects", sum(1 for _ in state.scan(partition, b"n/")))

    def partition_closed(self, partition: int, state: State) -> Iterable[Observation]:
        yield Observation("keys_objects", -sum(1 for _ in state.scan(partition, b"n/")))


class ForwardStage:
    """Stateless: copies every record."""

    name = "forward"

    def __init__(self, prefix: str) -> None:
        self.input_topics: Sequence[str] = [f"{prefix}.in"]
        self.changelog_topic: str | None = None
        self.output_topic = f"{prefix}.out"

    def step(self, batch: Sequence[Message], state: State) -> StepResult:
        return StepResult([Output(self.output_topic, m.key, m.value) for m in batch])

    def partition_opened(self, partition: int, state: State) -> Iterable[Observation]:
        return ()

    def partition_closed(self, partition: int, state: State) -> Iterable[Observation]:
        return ()


def topic_specs(prefix: str, partitions: int = 2) -> list[TopicSpec]:
    """Topics of :class:`CountingStage` and of its dead letters."""
    return [
        TopicSpec(f"{prefix}.in", partitions),
        TopicSpec(f"{prefix}.changelog", partitions, {"cleanup.policy": "compact"}),
        TopicSpec(f"{prefix}.out", partitions),
        TopicSpec(f"{prefix}.dead-letters", 1),
    ]


def fill(bus: Bus, prefix: str, n_records: int, *, n_keys: int = 5, first: int = 0) -> None:
    """Write numbered records; key i mod n_keys, value the number."""
    producer = bus.producer()
    for number in range(first, first + n_records):
        producer.send(Output(f"{prefix}.in", b"k%d" % (number % n_keys), b"%d" % number))
    producer.flush()
    producer.close()


def expected_outputs(n_records: int, *, n_keys: int = 5) -> Counter[bytes]:
    """Return what an undisturbed run over :func:`fill` emits."""
    return Counter(
        b"k%d:%d:%d" % (number % n_keys, number // n_keys + 1, number) for number in range(n_records)
    )


def outputs(bus: Bus, prefix: str) -> Counter[bytes]:
    """Return the committed outputs, with how often each is there."""
    return Counter(m.value or b"" for m in read_topic(bus, f"{prefix}.out"))


def state_of(bus: Bus, prefix: str) -> dict[bytes, bytes]:
    """Return the state that the committed changelog stands for, markers left out."""
    held: dict[bytes, bytes | None] = {}
    for message in read_topic(bus, f"{prefix}.changelog"):
        assert message.key is not None
        if not message.key.startswith(b"\x00\x00"):
            held[message.key] = message.value
    return {key: value for key, value in held.items() if value is not None}


def dead_letter_to(prefix: str) -> Callable[[DeadLetter], Output]:
    """Return an encoder that writes ``reason|detail|value``."""

    def encode(dead: DeadLetter) -> Output:
        value = b"%s|%s|%s" % (dead.reason.encode(), dead.detail.encode(), dead.value or b"")
        return Output(f"{prefix}.dead-letters", dead.key, value)

    return encode
