"""Dead letters tried again, once each, and purged.

Letters of a stage without state are put through that stage here, and what they lead to is published: a
survey's cluster cannot be written to, and what goes through a topic a second time would reach its other
readers twice. Letters of a stage with state go back to its input, for only its workers hold the state;
those of a forwarder go back to the output's topic, which only it reads. Letters of deliver are put through
here, too, for everybody reads its input: for the output that had failed only, and as if all of it were
news, for its memory is with its workers.

Results and a mark for each letter are one transaction, under a transactional id that all redrives share: one
that is killed leaves nothing of its last batch, the next one fences it and goes on behind the last mark.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field

from broker_plugin.errors import AbortableTransactionError, FencedError
from broker_plugin.records.codec import decode_dead_letter
from broker_plugin.records.dead_letter import DeadLetter
from broker_plugin.runner.bus import Bus, Producer, read_partition, read_topic
from broker_plugin.runner.crash import crash_point
from broker_plugin.runner.protocols import Message, Output, Partition, Stage
from broker_plugin.runner.settings import RunnerSettings
from broker_plugin.runner.state import BatchState, CommittedState
from broker_plugin.runner.stepping import CUT_MARK, run_step
from broker_plugin.runner.store import MemoryStore
from broker_plugin.runner.topics import require_topics
from broker_plugin.stages.dead_letters import dead_letter_output
from broker_plugin.stages.deliver import DeliverStage

_NAME = "redrive"  # in the transactional id and at the crash points


@dataclass(frozen=True, slots=True)
class Selection:
    """Which dead letters to try again.

    Attributes
    ----------
    reasons, stages : collection of str
        Only these; empty means all.
    again : bool
        Those that were tried before, too.
    """

    reasons: Collection[str] = ()
    stages: Collection[str] = ()
    again: bool = False

    def __contains__(self, letter: DeadLetter) -> bool:
        """Return whether a letter is chosen, tried before or not."""
        return (not self.reasons or letter.reason in self.reasons) and (
            not self.stages or letter.stage in self.stages
        )


@dataclass(slots=True)
class RedriveReport:
    """What became of the chosen letters; the counts go by ``"stage: reason"``.

    Attributes
    ----------
    redriven : Counter of str
        Tried again, by why they had been put aside.
    failed : Counter of str
        Of these, put aside anew, by why now.
    unusable : Counter of str
        Not tried, by why not.
    done_before : int
        Left alone because an earlier redrive has tried them.
    """

    redriven: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    unusable: Counter[str] = field(default_factory=Counter)
    done_before: int = 0


@dataclass(frozen=True, slots=True)
class PurgePlan:
    """What a purge will delete.

    Attributes
    ----------
    before : mapping of Partition to int
        The offset below which each partition of the dead letters goes.
    letters, pending : int
        How many there are, and how many of them were never tried again.
    """

    before: dict[Partition, int]
    letters: int
    pending: int


@dataclass(frozen=True, slots=True)
class ReadAgain:
    """What has only a way back: who reads these topics takes the letter once more.

    Attributes
    ----------
    input_topics : tuple of str
    """

    input_topics: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Entry:
    mark: bytes
    letter: DeadLetter


class Redrive:
    """The dead letters of one installation.

    Parameters
    ----------
    bus : Bus
        Our own cluster.
    settings : RunnerSettings
        Prefix, size of a batch, size of a record.
    build_stage : callable
        Returns a stage by its name, or :class:`ReadAgain`; KeyError for one that does not exist.
    """

    def __init__(
        self, bus: Bus, settings: RunnerSettings, build_stage: Callable[[str], Stage | ReadAgain]
    ) -> None:
        self._bus = bus
        self._settings = settings
        self._build = build_stage
        self._stages: dict[str, Stage | ReadAgain | None] = {}
        self._letters_topic = f"{settings.prefix}.dead-letters"
        self._letters_id: str | None = None
        self._marks_topic = f"{settings.prefix}.redriven"
        self._dead_letter_output = dead_letter_output(settings.prefix)

    def run(self, selection: Selection) -> RedriveReport:
        """Try the chosen letters again that are there now.

        Raises
        ------
        FencedError
            Another redrive or purge was started; what this one had committed stays.
        AbortableTransactionError, FatalBusError
            Kafka did not take a batch; start again, and it goes on where it stopped.
        """
        require_topics(self._bus, [self._letters_topic, self._marks_topic])
        report = RedriveReport()
        producer = self._take_over()
        try:
            done = self._marks()
            batch: list[_Entry] = []
            for entry in self._entries():
                if entry.letter not in selection:
                    continue
                if entry.mark in done and not selection.again:
                    report.done_before += 1
                    continue
                why_not = self._why_not(entry.letter)
                if why_not is not None:
                    report.unusable[why_not] += 1
                    continue
                batch.append(entry)
                if len(batch) == self._settings.batch_records:
                    self._commit(producer, batch, report)
                    batch = []
            if batch:
                self._commit(producer, batch, report)
        except FencedError as error:
            msg = f"another redrive or purge has taken over; what was committed stays: {error}"
            raise FencedError(msg) from error
        finally:
            producer.close()
        return report

    def plan_purge(self) -> PurgePlan:
        """Look at what a purge would delete: every letter that can be read now."""
        require_topics(self._bus, [self._letters_topic, self._marks_topic])
        done = self._marks()
        before: dict[Partition, int] = {}
        letters = pending = 0
        for message in self._records():
            before[Partition(message.topic, message.partition)] = message.offset + 1
            letters += 1
            pending += self._mark(message) not in done
        return PurgePlan(before, letters, pending)

    def purge(self, plan: PurgePlan) -> None:
        """Delete what was planned, for good, then the marks that nothing can refer to any more.

        Raises
        ------
        TopicError
            Kafka does not let the records go.
        """
        producer = self._take_over()
        try:
            for partition, offset in plan.before.items():
                self._bus.delete_records(partition, offset)
            left = {self._mark(message) for message in self._records()}
            stale = self._marks() - left
            if stale:
                producer.begin()
                for mark in stale:
                    producer.send(Output(self._marks_topic, mark, None))
                producer.commit()
        finally:
            producer.close()

    def _take_over(self) -> Producer:
        """Fence every other redrive and abort what it left open, before the marks are read."""
        producer = self._bus.producer(self._settings.transactional_id(_NAME))
        try:
            producer.init_transactions()
        except BaseException:
            producer.close()
            raise
        return producer

    def _records(self) -> Iterator[Message]:
        """Yield what lies in the topic now, not what is put aside while we read."""
        count = self._bus.partition_counts([self._letters_topic])[self._letters_topic] or 0
        ends = [self._bus.offsets(Partition(self._letters_topic, number))[1] for number in range(count)]
        for number, end in enumerate(ends):
            for message in read_partition(self._bus, self._letters_topic, number):
                if message.offset < end:
                    yield message

    def _entries(self) -> Iterator[_Entry]:
        for message in self._records():
            yield _Entry(self._mark(message), decode_dead_letter(message.value or b""))

    def _mark(self, message: Message) -> bytes:
        # With the topic's id: one that was deleted and created anew counts its offsets from 0 again.
        if self._letters_id is None:
            self._letters_id = self._bus.topic_id(self._letters_topic)
        return f"{self._letters_id}/{message.partition}/{message.offset}".encode()

    def _marks(self) -> set[bytes]:
        marks: set[bytes] = set()
        for message in read_topic(self._bus, self._marks_topic):
            (marks.discard if message.value is None else marks.add)(message.key or b"")
        return marks

    def _why_not(self, letter: DeadLetter) -> str | None:
        if CUT_MARK in letter.detail:
            return f"{letter.stage}: the letter does not hold the whole record"
        stage = self._stage(letter.stage)
        if stage is None:
            return f"{letter.stage}: there is no such stage"
        if isinstance(stage, DeliverStage):
            gone = stage.again(letter.detail) is None
            return f"{letter.stage}: there is no such output any more" if gone else None
        if _goes_back(stage) and letter.topic not in stage.input_topics:
            return f"{letter.stage}: came from {letter.topic}, the input is {', '.join(stage.input_topics)}"
        return None

    def _stage(self, name: str) -> Stage | ReadAgain | None:
        if name not in self._stages:
            try:
                self._stages[name] = self._build(name)
            except KeyError:
                self._stages[name] = None
        return self._stages[name]

    def _commit(self, producer: Producer, batch: Sequence[_Entry], report: RedriveReport) -> None:
        """Put one batch through; the report is touched only when it is committed."""
        outputs: list[Output] = []
        failed: Counter[str] = Counter()
        for name in dict.fromkeys(entry.letter.stage for entry in batch):
            of_stage = [entry.letter for entry in batch if entry.letter.stage == name]
            outputs += self._put_through(name, of_stage, failed)
        crash_point(_NAME, "after_step")
        producer.begin()
        try:
            for output in outputs:
                producer.send(output)
            crash_point(_NAME, "after_outputs")
            for entry in batch:
                producer.send(Output(self._marks_topic, entry.mark, _about(entry.letter)))
            crash_point(_NAME, "after_changelog")
            producer.commit()
        except AbortableTransactionError:
            producer.abort()  # let no reader wait for the transaction to time out
            raise
        crash_point(_NAME, "after_commit")
        report.redriven.update(f"{entry.letter.stage}: {entry.letter.reason}" for entry in batch)
        report.failed.update(failed)

    def _put_through(self, name: str, letters: Sequence[DeadLetter], failed: Counter[str]) -> list[Output]:
        stage = self._stage(name)
        assert stage is not None, "letters of unknown stages are not tried"
        messages = [_message(letter) for letter in letters]
        if isinstance(stage, DeliverStage):
            outputs = []
            for letter, message in zip(letters, messages, strict=True):
                alone = stage.again(letter.detail)
                assert alone is not None, "letters of outputs that are gone are not tried"
                outputs += self._step(alone, [message])
        elif isinstance(stage, ReadAgain) or stage.changelog_topic is not None:
            return [Output(m.topic, m.key, m.value, m.headers) for m in messages]
        else:
            # A survey's record that was read twice was put aside twice.
            outputs = self._step(stage, list(dict.fromkeys(messages)))
        for output in outputs:
            if output.topic == self._letters_topic:
                again = decode_dead_letter(output.value or b"")
                failed[f"{again.stage}: {again.reason}"] += 1
        return outputs

    def _step(self, stage: Stage, messages: Sequence[Message]) -> list[Output]:
        nothing = CommittedState({message.partition: MemoryStore() for message in messages})
        stepped = run_step(
            stage, messages, BatchState(nothing), self._dead_letter_output, self._settings.max_output_bytes
        )
        return list(stepped.outputs)


def _goes_back(stage: Stage | ReadAgain) -> bool:
    return isinstance(stage, ReadAgain) or stage.changelog_topic is not None


def _message(letter: DeadLetter) -> Message:
    """Return the record as the stage had read it."""
    return Message(
        topic=letter.topic,
        partition=letter.partition,
        offset=letter.offset,
        key=letter.key,
        value=letter.value,
        timestamp_ms=letter.timestamp_ms,
        headers=letter.headers,
    )


def _about(letter: DeadLetter) -> bytes:
    """Return what a mark says to a person; the program looks at its key only."""
    place = f"{letter.topic}/{letter.partition}/{letter.offset}"
    return json.dumps({"stage": letter.stage, "reason": letter.reason, "place": place}).encode()
