"""The file itself: whose it is, what a crash leaves, what a newer version is told."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from broker_plugin.board.intake import put_annotation
from broker_plugin.board.store import Store, claim, next_position, set_position
from broker_plugin.errors import InputError
from tests.board.examples import record


def test_a_crash_inside_of_a_batch_leaves_neither_records_nor_position(store: Store) -> None:
    """The process dies between the records and the commit: both come again together."""

    def batch() -> None:
        with store.writing() as connection:
            put_annotation(connection, record(1))
            set_position(connection, "k", "t", 0, position=1, mark="m")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        batch()

    again = Store(store.path)
    with again.reading() as connection:
        assert connection.execute("SELECT count(*) FROM annotations").fetchone()[0] == 0
        assert next_position(connection, "k", "t", 0) is None
    again.close()


def test_a_reader_sees_one_state_while_the_writer_commits(filled: Store) -> None:
    """A page that is being put together does not mix two states."""
    with filled.reading() as reader:
        before = reader.execute("SELECT count(*) FROM objects").fetchone()[0]
        with filled.writing() as writer:
            put_annotation(writer, record(99))
        assert reader.execute("SELECT count(*) FROM objects").fetchone()[0] == before
    with filled.reading() as reader:
        assert reader.execute("SELECT count(*) FROM objects").fetchone()[0] == before + 1


def test_changes_count_what_was_written(store: Store) -> None:
    """The live stream looks at this number: nothing new, no news."""
    with store.writing() as connection:
        put_annotation(connection, record(1))
    first = store.changes
    with store.writing() as connection:
        connection.execute("SELECT 1")

    assert first > 0
    assert store.changes == first


def test_a_store_of_the_first_version_goes_on(store: Store) -> None:
    """It had no revisions; its rows stay, and the next revision takes their place."""
    with store.writing() as connection:
        put_annotation(connection, record(1))
    store.close()
    with sqlite3.connect(store.path) as old:
        old.execute("ALTER TABLE objects DROP COLUMN revision")
        old.execute("PRAGMA user_version = 1")

    again = Store(store.path)
    with again.writing() as connection:
        put_annotation(connection, record(1, 1, revision=1))
    with again.reading() as connection:
        assert connection.execute("SELECT revision FROM objects").fetchone()[0] == 1
        assert connection.execute("SELECT count(*) FROM annotations").fetchone()[0] == 2
    again.close()
    Store(store.path).close()


def test_another_programs_file_is_left_alone(tmp_path: Path) -> None:
    """Somebody names the wrong file."""
    path = tmp_path / "other.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE theirs (x)")
    connection.close()

    with pytest.raises(InputError, match="SQLite file of something else; name another file with --store"):
        Store(path)


def test_a_file_that_is_no_database_is_told(tmp_path: Path) -> None:
    """A text file, a folder."""
    path = tmp_path / "notes.txt"
    path.write_text("no database at all, but long enough to have a header " * 10)

    with pytest.raises(InputError, match="cannot be used as the board's store"):
        Store(path)
    with pytest.raises(InputError, match="cannot be used as the board's store"):
        Store(tmp_path)


def test_a_newer_versions_file_is_refused(store: Store) -> None:
    """After a downgrade."""
    with store.writing() as connection:
        connection.execute("PRAGMA user_version = 99")

    with pytest.raises(InputError, match=r"newer broker-plugin \(store version 99"):
        Store(store.path)


def test_two_sources_never_share_a_store(store: Store) -> None:
    """The demo's file is named for the live topics."""
    with store.writing() as connection:
        set_position(connection, "/demo", "novelties.jsonl", 0, position=1, mark="m")

    claim(store, "/demo")
    with pytest.raises(InputError, match="was fed from /demo, not from cluster"):
        claim(store, "cluster")
