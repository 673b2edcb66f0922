"""Windows sent again after a change of model: judged once, whatever is killed or repeated in between."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from broker_plugin.app.rescore import (
    find_stale,
    send,
    wait_until_judged,
    windows_of_archive,
    windows_of_topic,
)
from broker_plugin.records import schemas
from broker_plugin.records.annotation import Annotation
from broker_plugin.records.codec import decode_classification, encode_window
from broker_plugin.records.window import Window
from broker_plugin.runner.bus import NotYetError
from broker_plugin.runner.memory import MemoryBus
from broker_plugin.runner.protocols import Output, Partition
from broker_plugin.runner.settings import Clock
from tests.integration.pipeline import committed, create_topics, run_until_idle
from tests.stages.judging import OBJECTS, judged_window, judging_stage

KNOWN, OTHER = 2.0, 12.0
NEW = "b" * 64


def publish(bus: MemoryBus, *windows: Window) -> None:
    producer = bus.producer()
    for window in windows:
        producer.send(Output("t.lightcurves", f"ztf/{window.object_id}".encode(), encode_window(window)))
    producer.flush()


@pytest.fixture
def bus(tmp_path: Path) -> MemoryBus:
    """Two stars with two windows each, judged by model a."""
    bus = MemoryBus()
    create_topics(bus, "t", partitions=2)
    publish(bus, *(judged_window(KNOWN, last, object_id=name) for last in (200, 220) for name in OBJECTS))
    run_until_idle(bus, "t", [judging_stage(model="a")])
    return bus


def annotations(bus: MemoryBus) -> list[Annotation]:
    return [decode_classification(message.value) for message in committed(bus, "t", "classifications")]


def rescore(bus: MemoryBus, **options) -> int:
    stale = find_stale(bus, "t", NEW, windows_of_topic(bus, "t"))
    return send(bus, "t", stale, windows_of_topic(bus, "t"), **options)


def test_each_stale_star_is_judged_anew_once(bus) -> None:
    """The newest window of each; a second time there is nothing to do and nothing is published."""
    done: list[tuple[int, int]] = []
    assert rescore(bus, progress=lambda n, of: done.append((n, of))) == 2
    run_until_idle(bus, "t", [judging_stage(model="b")])

    found = annotations(bus)
    assert done == [(1, 2), (2, 2)]
    assert sorted((a.object_id, a.revision, a.changes) for a in found) == [
        (name, revision, changes)
        for name in OBJECTS
        for revision, changes in ((1, ("new",)), (2, ("model",)))
    ]
    assert {a.n_epochs_total for a in found if a.revision == 2} == {220}
    assert rescore(bus) == 0
    assert wait_until_judged(bus, "t", 0.0)


def test_an_open_transaction_is_waited_for(bus, monkeypatch: pytest.MonkeyPatch) -> None:
    """The stage is in the middle of a commit, or its worker died there: no failure, ask again."""
    rescore(bus)
    run_until_idle(bus, "t", [judging_stage(model="b")])
    ask, open_for = MemoryBus.committed, [True, True]

    def late(bus: MemoryBus, group: str, partitions: Sequence[Partition]) -> dict[Partition, int | None]:
        if open_for:
            open_for.pop()
            raise NotYetError("a transaction is open")
        return ask(bus, group, partitions)

    monkeypatch.setattr(MemoryBus, "committed", late)
    now = [0.0]
    clock = Clock(monotonic=lambda: now[0], sleep=lambda s: now.__setitem__(0, now[0] + s))
    assert not wait_until_judged(bus, "t", 0.0, clock)
    assert wait_until_judged(bus, "t", 60.0, clock)
    assert now[0] > 0.0


def test_what_was_sent_twice_is_judged_once(bus) -> None:
    """The command was killed before the stage had begun, and started again."""
    assert [rescore(bus), rescore(bus)] == [2, 2]
    assert not wait_until_judged(bus, "t", 0.0)
    run_until_idle(bus, "t", [judging_stage(model="b")])

    assert len(annotations(bus)) == 4


def test_a_stage_with_another_model_leaves_them_alone(bus) -> None:
    """The workers were not restarted: nothing is published, and the stars stay stale."""
    rescore(bus)
    run_until_idle(bus, "t", [judging_stage(model="a")])

    assert len(annotations(bus)) == 2
    assert len(find_stale(bus, "t", NEW, windows_of_topic(bus, "t")).windows) == 2


def test_the_rate_is_kept(bus) -> None:
    """Half a window a second: the second one waits two seconds."""
    now = [100.0]
    clock = Clock(monotonic=lambda: now[0], sleep=lambda s: now.__setitem__(0, now[0] + s))

    rescore(bus, rate=0.5, clock=clock)

    assert now[0] == pytest.approx(102.0)


def test_an_archive_brings_back_what_the_topic_has_lost(bus) -> None:
    """One star's windows are in the archive, another star is new, of a third it has an old window only."""
    publish(bus, judged_window(OTHER, 240, object_id=OBJECTS[1]))
    run_until_idle(bus, "t", [judging_stage(model="a")])
    late = [judged_window(KNOWN, last, object_id=OBJECTS[0]) for last in (200, 220)]
    unknown = replace(judged_window(OTHER, 200, object_id=OBJECTS[0]), band="g")
    older = judged_window(KNOWN, 220, object_id=OBJECTS[1])
    records = [schemas.decode("lightcurve", encode_window(w)) for w in (*late, unknown, older)]

    stale = find_stale(bus, "t", NEW, windows_of_archive(records), also_unknown=True)
    assert (len(stale.light_curves), len(stale.windows), stale.without_window) == (2, 2, 1)
    assert send(bus, "t", stale, windows_of_archive(records)) == 2
    run_until_idle(bus, "t", [judging_stage(model="b")])

    judged = sorted((a.object_id, a.band, a.revision) for a in annotations(bus) if a.model_digest == NEW)
    assert judged == [(OBJECTS[0], "g", 1), (OBJECTS[0], "r", 2)]


def test_nothing_withdrawn_comes_back(bus) -> None:
    """One star's epochs were withdrawn: no window of it is sent."""
    publish(bus, judged_window(0, 221, object_id=OBJECTS[0], n_epochs=150, gone=(100,), without=(100,)))
    run_until_idle(bus, "t", [judging_stage(model="a")])

    assert rescore(bus) == 1
