"""The feed from the output of an offline run: JSON lines, also while they are being written.

The Avro containers beside them hold the same records, but their blocks end where the writer likes; a line
ends at its newline.
"""

from __future__ import annotations

import hashlib
import logging
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from broker_plugin.board import intake, store
from broker_plugin.board.store import Store
from broker_plugin.errors import InputError
from broker_plugin.records.text import from_json

logger = logging.getLogger(__name__)

NAMES = ("classifications.jsonl", "novelties.jsonl")
"""Files that are read; one of them is enough."""

_MARK_BYTES = 200  # the first line begins with an annotation's id, which tells one run's file from another's
_CHUNK_BYTES = 4_000_000  # in one transaction
_LOOK_EVERY_SECONDS = 1.0


class FolderFeed:
    """Follows the files of a folder that ``replay --to`` or ``demo --to`` writes.

    Parameters
    ----------
    directory : Path
    board_store : Store

    Raises
    ------
    InputError
        The folder holds none of the files.
    """

    def __init__(self, directory: Path, board_store: Store) -> None:
        self._directory = directory
        self._store = board_store
        self.source = f"folder {directory}"
        self._key = str(directory.resolve())
        if not any((directory / name).exists() for name in NAMES):
            msg = (
                f"{directory} holds none of {', '.join(NAMES)}; name a folder that "
                "`broker-plugin demo --to` or `broker-plugin replay --to` wrote"
            )
            raise InputError(msg)
        store.claim(board_store, self._key)

    def follow(self, stopping: threading.Event, on_caught_up: Callable[[bool], None]) -> None:
        """Read what is there and what is appended; see :class:`broker_plugin.board.feed.Feed`."""
        while not stopping.is_set():
            self._start_anew_if_replaced()
            grew = False
            for name in NAMES:
                while not stopping.is_set() and self._read_more(self._directory / name):
                    grew = True
                    on_caught_up(False)
            if not grew:
                on_caught_up(True)
                stopping.wait(_LOOK_EVERY_SECONDS)

    def _start_anew_if_replaced(self) -> None:
        """Forget an earlier run's annotations when a file is another one now; labels stay."""
        with self._store.reading() as connection:
            known = {name: store.next_position(connection, self._key, name, 0) for name in NAMES}
        replaced = [
            name
            for name, position in known.items()
            if position is not None and not _is_same(self._directory / name, *position)
        ]
        if replaced:
            logger.warning("%s was written anew: its annotations replace those shown", ", ".join(replaced))
            with self._store.writing() as connection:
                intake.forget_annotations(connection)
                connection.execute("DELETE FROM positions WHERE source = ?", (self._key,))

    def _read_more(self, path: Path) -> bool:
        """Take in the next complete lines; return whether there were any."""
        if not path.exists():
            return False
        with self._store.reading() as connection:
            start = (store.next_position(connection, self._key, path.name, 0) or (0, ""))[0]
        try:
            with path.open("rb") as stream:
                stream.seek(start)
                chunk = stream.read(_CHUNK_BYTES)
                while chunk and b"\n" not in chunk and (more := stream.read(_CHUNK_BYTES)):
                    chunk += more
        except OSError as error:
            msg = f"{path} cannot be read: {error.strerror}"
            raise InputError(msg) from error
        lines, newline, _rest = chunk.rpartition(b"\n")
        if not newline:
            return False
        end = start + len(lines) + 1
        with self._store.writing() as connection:
            for record in _records(path, lines):
                _take_in(connection, record, path)
            store.set_position(connection, self._key, path.name, 0, position=end, mark=_mark(path, end))
        return True


def _records(path: Path, lines: bytes) -> Iterator[dict[str, Any]]:
    for line in lines.split(b"\n"):
        try:
            yield from_json(line)
        except ValueError as error:
            logger.warning("%s: a line is skipped: %s", path, error)


def _take_in(connection: sqlite3.Connection, record: dict[str, Any], path: Path) -> None:
    try:
        intake.put_annotation(connection, record)
    except intake.BAD_RECORD as error:
        logger.warning("%s: annotation %s is skipped: %r", path, record.get("annotation_id"), error)


def _mark(path: Path, read: int) -> str:
    """Return a digest of the beginning of what was read: it stays as it is while a file only grows."""
    with path.open("rb") as stream:
        return hashlib.sha256(stream.read(min(read, _MARK_BYTES))).hexdigest()


def _is_same(path: Path, read: int, mark: str) -> bool:
    try:
        return path.stat().st_size >= read and _mark(path, read) == mark
    except OSError:
        return False
