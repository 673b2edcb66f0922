"""The runner: hosts one stage, exactly once, until it is told to stop.

What a turn does is in :class:`broker_plugin.runner.session.Session`. Here is what surrounds the turns:
the checks before the first, a new session after an error that only that mends, and the way out.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from broker_plugin.errors import BrokerPluginError, BrokerUnreachableError, FatalBusError, FencedError
from broker_plugin.runner.bus import Bus
from broker_plugin.runner.expiry import Expiry
from broker_plugin.runner.opening import Restorer
from broker_plugin.runner.partitions import PartitionTable
from broker_plugin.runner.protocols import Stage
from broker_plugin.runner.rocks import RocksStore
from broker_plugin.runner.sensor import NullSensor, Sensor
from broker_plugin.runner.session import Session
from broker_plugin.runner.settings import Clock, RunnerSettings
from broker_plugin.runner.stepping import EncodeDeadLetter
from broker_plugin.runner.store import LocalStore, MemoryStore
from broker_plugin.runner.topics import check_layout, check_stage_topics, partitions_note
from broker_plugin.runner.window import TopicWindow, WantedTopics

logger = logging.getLogger(__name__)

_WAIT_SLICE_SECONDS = 0.2


class Runner:
    """Hosts a stage. One thread at a time may call it, except for :meth:`stop`.

    Parameters
    ----------
    stage : Stage
    bus : Bus
        Where outputs, changelog and transactions live, and the input unless ``source_bus`` is given.
    dead_letter : callable
        Encodes a dead letter for its topic.
    settings : RunnerSettings
    source_bus : Bus, optional
        Where the input lives. If that is another cluster, the stage must be stateless and is at-least-once.
    output_topics : sequence of str
        Topics that must exist before the first record is read.
    wanted_topics : callable, optional
        Which input topics to read at a time, instead of the stage's own. Those of them that exist are read;
        when that changes, the group is joined anew.
    sensor : Sensor, optional
    clock : Clock, optional
    """

    def __init__(
        self,
        stage: Stage,
        bus: Bus,
        dead_letter: EncodeDeadLetter,
        settings: RunnerSettings,
        *,
        source_bus: Bus | None = None,
        output_topics: Sequence[str] = (),
        wanted_topics: WantedTopics | None = None,
        sensor: Sensor | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._stage = stage
        self._bus = bus
        self._source_bus = source_bus or bus
        self._dead_letter = dead_letter
        self._settings = settings
        self._output_topics = tuple(output_topics)
        self._sensor = sensor or NullSensor()
        self._clock = clock or Clock()
        self._window = (
            None if wanted_topics is None else TopicWindow(wanted_topics, self._source_bus, self._clock)
        )
        self._session: Session | None = None
        self._rejoins = 0  # in a row, without a commit
        self._stopping = False

    def run(self) -> None:
        """Process until :meth:`stop`, then finish the batch, commit it and leave the group.

        Raises
        ------
        BrokerPluginError
            The process cannot go on; its ``exit_code`` says why.
        """
        try:
            while not self._stopping:
                self._turn()
        except BaseException:
            self._leave(clean=False)
            raise
        self.close()

    def run_until_idle(self, timeout_seconds: float = 600.0) -> int:
        """Process until everything there is to read is committed; return the number of records.

        The group is joined by the first call and stays joined, so that stages can be driven in turns.

        Raises
        ------
        TimeoutError
            There was still something to do, or to wait for, at the deadline.
        """
        deadline = self._clock.monotonic() + timeout_seconds
        done = 0
        try:
            while not self._stopping:
                turned = self._turn(unless_idle=True)
                if turned is None:
                    break
                done += turned
                if self._clock.monotonic() > deadline:
                    msg = (
                        f"stage {self._stage.name} not idle after {timeout_seconds:g} s ({done} records done)"
                    )
                    raise TimeoutError(msg)
        except BaseException:
            self._leave(clean=False)
            raise
        return done

    def stop(self) -> None:
        """Ask :meth:`run` to end after the current batch. Any thread and any signal handler may call it."""
        self._stopping = True  # one plain store: no lock that a signal handler could find taken

    def close(self) -> None:
        """Leave the group cleanly. May be called twice."""
        self._leave(clean=True)

    def __enter__(self) -> Self:
        """Return the runner."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the group."""
        self._leave(clean=kind is None)

    def _turn(self, *, unless_idle: bool = False) -> int | None:
        """Do one turn, in a new session if the last one is over; return None for none because idle."""
        first = self._session is None and self._rejoins == 0
        self._sensor.on_turn(self._stage.name)
        try:
            if self._window is not None and not self._follow(self._window):
                return None if unless_idle else 0
            if self._session is None:
                self._session = self._join()
            if unless_idle and self._session.idle():
                return None
            commits = self._session.commits
            done = self._session.turn()
            if self._session.commits > commits:
                self._rejoins = 0
        except FencedError as error:
            self._leave(clean=False)
            if self._settings.on_fenced == "exit":
                raise
            self._before_rejoin(error)
        except (FatalBusError, BrokerUnreachableError) as error:
            self._leave(clean=False)
            if first and isinstance(error, BrokerUnreachableError):
                raise  # an address that never answered is a mistake to be told at once
            self._before_rejoin(error)
        else:
            return done
        return 0

    def _follow(self, window: TopicWindow) -> bool:
        """Leave the group when other topics are to be read; wait a little, return False if there are none."""
        topics = window.existing()
        if self._session is not None and topics == tuple(self._stage.input_topics):
            return True
        if self._session is not None:
            logger.info("stage %s reads from now on: %s", self._stage.name, ", ".join(topics) or "nothing")
            self._leave(clean=True)
            self._sensor.on_waiting(self._stage.name, "its group, with other topics")
        self._stage.input_topics = topics
        if not topics:
            self._sensor.on_waiting(self._stage.name, f"one of the topics {', '.join(window.wanted)}")
            self._clock.sleep(_WAIT_SLICE_SECONDS)
        return bool(topics)

    def _join(self) -> Session:
        """Check the topics, then join the group."""
        check_stage_topics(self._bus, self._source_bus, self._stage, self._output_topics)
        foreign = (
            self._source_bus is not self._bus and self._source_bus.cluster_id() != self._bus.cluster_id()
        )
        if foreign and self._stage.changelog_topic is not None:
            msg = (
                f"stage {self._stage.name} keeps state, so its input must be in the cluster of its outputs: "
                f"found clusters {self._source_bus.cluster_id()} and {self._bus.cluster_id()}"
            )
            raise BrokerPluginError(msg)
        counts = self._source_bus.partition_counts(list(self._stage.input_topics))
        note = ""
        if self._stage.changelog_topic is not None:
            ((_, count),) = counts.items()
            assert count is not None, "its topics have been checked"
            check_layout(self._bus, self._stage, self._settings.group(self._stage.name), count)
            note = partitions_note(count)
        table = PartitionTable(
            self._stage,
            self._restorer(),
            self._sensor,
            self._settings,
            self._clock,
            expiry=Expiry(self._stage.name, lambda it: self._source_bus.offsets(it)[0], self._sensor),
            counts=counts,
        )
        return Session(
            stage=self._stage,
            bus=self._bus,
            source_bus=self._source_bus,
            table=table,
            sensor=self._sensor,
            settings=self._settings,
            clock=self._clock,
            encode_dead_letter=self._dead_letter,
            foreign_source=foreign,
            note=note,
        )

    def _restorer(self) -> Restorer | None:
        topic = self._stage.changelog_topic
        if topic is None:
            return None
        retention_ms = float(self._bus.topic_config(topic)["delete.retention.ms"])
        return Restorer(
            stage=self._stage.name,
            changelog_topic=topic,
            group=self._settings.group(self._stage.name),
            bus=self._bus,
            open_store=self._open_store,
            sensor=self._sensor,
            settings=self._settings,
            clock=self._clock,
            identity=f"{self._bus.cluster_id()}/{topic}/{self._bus.topic_id(topic)}",
            tombstone_seconds=retention_ms / 1000,
        )

    def _open_store(self, partition: int) -> LocalStore:
        if self._settings.state_dir is None:
            return MemoryStore()
        return RocksStore(self._settings.state_dir / self._stage.name, partition)

    def _before_rejoin(self, error: BrokerPluginError) -> None:
        """Count, tell and wait; raise the error if this has gone on for too long."""
        self._rejoins += 1
        if self._rejoins > self._settings.max_rejoins or self._stopping:
            raise error
        logger.warning("stage %s joins anew (%d): %s", self._stage.name, self._rejoins, error)
        self._sensor.on_rejoin(self._stage.name, type(error).__name__)
        delay = self._settings.backoff_seconds * 2.0**self._rejoins
        until = self._clock.monotonic() + min(delay, self._settings.backoff_max_seconds)
        while not self._stopping and (left := until - self._clock.monotonic()) > 0:
            self._clock.sleep(min(left, _WAIT_SLICE_SECONDS))

    def _leave(self, *, clean: bool) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.leave(clean=clean)
