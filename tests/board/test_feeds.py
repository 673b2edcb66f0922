"""Feeds: nothing lost, nothing twice, restarts, damage, other people's labels."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from broker_plugin.board.feed import Feed, FeedThread
from broker_plugin.board.folder import FolderFeed
from broker_plugin.board.labels import add_label, labels_in_force, new_label
from broker_plugin.board.store import Store
from broker_plugin.board.topics import TopicFeed
from broker_plugin.errors import InputError
from broker_plugin.records.codec import encode_classification, encode_novelty, encode_window
from broker_plugin.records.label import decode_label, encode_label
from broker_plugin.runner.bus import Bus, read_partition
from broker_plugin.runner.memory import MemoryBus
from broker_plugin.runner.protocols import Output
from broker_plugin.runner.topics import create_missing, plan_topics
from tests.board.examples import PROCESSED_MS, annotation, classification, line, novelty, record
from tests.records.examples import LABEL, WINDOW


def counts(store: Store) -> tuple[int, int, int]:
    with store.reading() as connection:
        return tuple(  # type: ignore[return-value]
            connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
            for table in ("objects", "annotations", "curves")
        )


def read_all(feed: Feed, until: Callable[[], bool] = lambda: True, seconds: float = 60.0) -> None:
    """Follow until everything was read and a condition holds."""
    stopping, deadline = threading.Event(), time.monotonic() + seconds

    def on_caught_up(caught_up: bool) -> None:
        if (caught_up and until()) or time.monotonic() > deadline:
            stopping.set()

    feed.follow(stopping, on_caught_up)
    assert until(), "not in time"


@pytest.fixture(params=["memory", pytest.param("kafka", marks=pytest.mark.kafka)])
def bus(request: pytest.FixtureRequest, prefix: str) -> Bus:
    bus: Bus = MemoryBus() if request.param == "memory" else request.getfixturevalue("kafka_bus")
    create_missing(bus, plan_topics(prefix, 2, replication=1))
    return bus


def publish(bus: Bus, prefix: str, numbers: range, *, commit: bool = True) -> None:
    producer = bus.producer(f"{prefix}-writer")
    producer.init_transactions()
    producer.begin()
    for number in numbers:
        one = novelty(number)
        key = f"ztf/{one.annotation.object_id}".encode()
        done = encode_classification(one.annotation, PROCESSED_MS)
        producer.send(Output(f"{prefix}.classifications", key, done))
        producer.send(Output(f"{prefix}.novelties", key, encode_novelty(one, PROCESSED_MS)))
    if commit:
        producer.commit()
    else:
        producer.abort()
    producer.close()


def test_topics_are_followed_over_restarts(bus: Bus, prefix: str, store: Store) -> None:
    """Read, stop, more comes, start again: what was read is not read again, what was aborted never."""
    publish(bus, prefix, range(1, 6))
    publish(bus, prefix, range(100, 103), commit=False)
    read_all(TopicFeed(bus, store, prefix), lambda: counts(store)[0] == 5)
    with store.writing() as connection:
        connection.execute("DELETE FROM annotations WHERE key LIKE '%0000001/%'")
    publish(bus, prefix, range(6, 9))

    read_all(TopicFeed(bus, store, prefix), lambda: counts(store)[0] == 8)

    assert counts(store) == (8, 7, 8)  # the deleted one did not come back


def test_labels_go_out_and_those_of_others_come_in(
    bus: Bus, prefix: str, store: Store, tmp_path: Path
) -> None:
    """Two boards on one prefix know the same labels; each label is in the topic once."""
    publish(bus, prefix, range(1, 3))
    read_all(TopicFeed(bus, store, prefix), lambda: counts(store)[0] == 2)
    mine = new_label(record(1), "known", "ECL", "mine", author="me", now_ms=5)
    with store.writing(durable=True) as connection:
        add_label(connection, mine, published=False)
    theirs = Store(tmp_path / "theirs.sqlite")

    def unpublished() -> int:
        with store.reading() as connection:
            return int(connection.execute("SELECT count(*) FROM labels WHERE published = 0").fetchone()[0])

    read_all(TopicFeed(bus, store, prefix), lambda: unpublished() == 0)
    read_all(TopicFeed(bus, theirs, prefix), lambda: counts(theirs)[0] == 2)

    with theirs.reading() as connection:
        assert labels_in_force(connection) == [mine]
    sent = [message for message in read_partition(bus, f"{prefix}.labels", 0) if message.value]
    assert [(m.key, decode_label(m.value or b"")) for m in sent] == [(mine.label_id.encode(), mine)]
    theirs.close()


def test_windows_are_kept_on_request(prefix: str, store: Store) -> None:
    """A classification without novelty gets its light curve from the light-curve topic."""
    bus = MemoryBus()
    create_missing(bus, plan_topics(prefix, 1))
    producer = bus.producer()
    ordinary = annotation(1, novel=False, window_id=WINDOW.window_id)
    producer.send(Output(f"{prefix}.lightcurves", b"k", encode_window(WINDOW)))
    producer.send(Output(f"{prefix}.classifications", b"k", encode_classification(ordinary, PROCESSED_MS)))
    producer.flush()

    read_all(TopicFeed(bus, store, prefix, with_windows=True))

    assert counts(store) == (1, 1, 1)


def test_a_damaged_record_is_skipped_and_told(prefix: str, store: Store, caplog) -> None:
    """A foreign producer wrote into the topic: what comes after it is shown."""
    bus = MemoryBus()
    create_missing(bus, plan_topics(prefix, 1))
    producer = bus.producer()
    producer.send(Output(f"{prefix}.novelties", b"k", b"no avro"))
    producer.send(Output(f"{prefix}.labels", b"k", encode_label(LABEL)[:-20]))
    producer.send(Output(f"{prefix}.novelties", b"k", encode_novelty(novelty(1), PROCESSED_MS)))
    producer.flush()
    with caplog.at_level(logging.WARNING):
        read_all(TopicFeed(bus, store, prefix))

    assert counts(store)[0] == 1
    assert f"{prefix}.novelties/0/0 is skipped: bytes start with" in caplog.text
    assert f"{prefix}.labels/0/0 is skipped" in caplog.text


def test_a_topic_made_anew_is_read_from_its_beginning(prefix: str, store: Store) -> None:
    """Somebody deleted the topics: the offsets in the store mean other records now."""

    class OneCluster(MemoryBus):
        def cluster_id(self) -> str:
            return "one"

    old, new = OneCluster(), OneCluster()
    for bus, numbers in ((old, range(1, 6)), (new, range(6, 8))):
        create_missing(bus, plan_topics(prefix, 1))
        publish(bus, prefix, numbers)
    read_all(TopicFeed(old, store, prefix))

    read_all(TopicFeed(new, store, prefix))

    assert counts(store)[0] == 7


def test_a_missing_topic_is_told_while_the_page_goes_on(prefix: str, store: Store) -> None:
    """The board starts before `topics create`, and shows news when that was done."""
    bus = MemoryBus()
    thread = FeedThread(TopicFeed(bus, store, prefix))
    thread.start()
    try:
        _wait(lambda: "topics create" in thread.state.problem)
        create_missing(bus, plan_topics(prefix, 1))
        publish(bus, prefix, range(1, 3))
        _wait(lambda: thread.state.caught_up and counts(store)[0] == 2)
        assert thread.state.problem == ""
    finally:
        thread.stop()


def test_old_annotations_are_forgotten_on_request(prefix: str, store: Store) -> None:
    """Thirty days later."""
    bus = MemoryBus()
    create_missing(bus, plan_topics(prefix, 1))
    publish(bus, prefix, range(1, 4))
    read_all(TopicFeed(bus, store, prefix))
    later = PROCESSED_MS / 1000 + 31 * 86400

    read_all(TopicFeed(bus, store, prefix, keep_days=30, clock=lambda: later), lambda: counts(store)[0] == 0)

    assert counts(store) == (0, 0, 0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "novelties.jsonl").write_text(line(record(1)) + line(record(2)), encoding="utf-8")
    lines = [classification(1), classification(2), classification(3, novel=False)]
    (folder / "classifications.jsonl").write_text("".join(map(line, lines)), encoding="utf-8")
    return folder


def test_a_folder_is_followed_while_it_grows(folder: Path, store: Store) -> None:
    """A replay is writing: half a line waits for its other half."""
    third = line(record(3, 1))
    read_all(FolderFeed(folder, store))
    assert counts(store) == (3, 3, 2)
    with (folder / "novelties.jsonl").open("a", encoding="utf-8") as stream:
        stream.write(third[:100])
    read_all(FolderFeed(folder, store))
    assert counts(store) == (3, 3, 2)
    with (folder / "novelties.jsonl").open("a", encoding="utf-8") as stream:
        stream.write(third[100:])

    read_all(FolderFeed(folder, store))

    assert counts(store) == (3, 4, 3)


def test_a_folder_written_anew_replaces_what_is_shown_but_no_label(
    folder: Path, store: Store, caplog
) -> None:
    """`demo` ran again with another seed."""
    read_all(FolderFeed(folder, store))
    label = new_label(record(1), "interesting", None, "", author="me", now_ms=1)
    with store.writing() as connection:
        add_label(connection, label, published=True)
    (folder / "novelties.jsonl").write_text(line(record(9)), encoding="utf-8")
    (folder / "classifications.jsonl").unlink()

    read_all(FolderFeed(folder, store))

    with store.reading() as connection:
        shown = [row["object_id"] for row in connection.execute("SELECT object_id FROM objects ORDER BY 1")]
        assert labels_in_force(connection) == [label]
    assert shown == ["ZTF220000001", "ZTF220000009"]
    assert "was written anew" in caplog.text


def test_a_bad_line_is_skipped_and_told(folder: Path, store: Store, caplog) -> None:
    """Somebody edited the file."""
    with (folder / "novelties.jsonl").open("a", encoding="utf-8") as stream:
        stream.write('{"half": \n{"annotation_id": "x"}\n' + line(record(7)))

    read_all(FolderFeed(folder, store))

    assert counts(store)[0] == 4
    assert "a line is skipped" in caplog.text
    assert "annotation x is skipped: KeyError" in caplog.text


def test_a_folder_without_output_is_refused(tmp_path: Path, store: Store) -> None:
    """The wrong folder."""
    with pytest.raises(InputError, match=r"holds none of classifications\.jsonl, novelties\.jsonl"):
        FolderFeed(tmp_path, store)


def _wait(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.02)
