"""The board's own store: one SQLite file with annotations, light curves, labels and reading positions.

Positions are written in the same transaction as the records that they stand for, so a restart goes on exactly
where the last commit stopped. Readers open connections of their own (WAL: they never wait for the writer).
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from broker_plugin.board.sky import separation_arcsec
from broker_plugin.errors import InputError

_VERSION = 2
_APPLICATION_ID = 0x76617262  # "varb": tells our files from other SQLite files
_BUSY_SECONDS = 30.0

_TABLES = """
CREATE TABLE positions (
  source TEXT NOT NULL, topic TEXT NOT NULL, part INTEGER NOT NULL,
  next INTEGER NOT NULL,                -- offset of the next record, or bytes of a file
  mark TEXT NOT NULL,                   -- of the topic or file: another one under its name starts anew
  PRIMARY KEY (source, topic, part)) WITHOUT ROWID;

CREATE TABLE annotations (
  annotation_id TEXT PRIMARY KEY, key TEXT NOT NULL, window_id TEXT NOT NULL,
  last_epoch_mjd REAL NOT NULL, processed_ms INTEGER NOT NULL, novel INTEGER NOT NULL,
  class TEXT NOT NULL, class_probability REAL NOT NULL, energy REAL NOT NULL, p_value REAL,
  period_days REAL, model_digest TEXT NOT NULL,
  record BLOB NOT NULL);                -- the whole record, without columns of epochs: zlib of JSON
CREATE INDEX annotations_of_key ON annotations (key, last_epoch_mjd);

CREATE TABLE objects (                  -- the latest annotation of each light curve: what the list shows
  key TEXT PRIMARY KEY, survey TEXT NOT NULL, object_id TEXT NOT NULL, band TEXT NOT NULL,
  ra REAL NOT NULL, dec REAL NOT NULL, annotation_id TEXT NOT NULL,
  last_epoch_mjd REAL NOT NULL, processed_ms INTEGER NOT NULL, alert_time_mjd REAL NOT NULL,
  novel INTEGER NOT NULL, ever_novel INTEGER NOT NULL,
  class TEXT NOT NULL, class_probability REAL NOT NULL, probabilities TEXT NOT NULL,
  energy REAL NOT NULL, energy_percentile REAL NOT NULL, p_value REAL, period_days REAL,
  mean_mag REAL NOT NULL, std_mag REAL NOT NULL, n_epochs_total INTEGER NOT NULL,
  flags TEXT NOT NULL,                  -- each with a blank before and after
  n_annotations INTEGER NOT NULL, changed INTEGER NOT NULL,
  revision INTEGER NOT NULL DEFAULT 0); -- of the annotation: the highest is in force
CREATE INDEX objects_by_energy ON objects (energy);
CREATE INDEX objects_by_time ON objects (alert_time_mjd);
CREATE INDEX objects_by_change ON objects (changed);

CREATE TABLE curves (
  window_id TEXT PRIMARY KEY, key TEXT NOT NULL, last_epoch_mjd REAL NOT NULL, data BLOB NOT NULL);
CREATE INDEX curves_of_key ON curves (key);

CREATE TABLE labels (                   -- every label ever given; the newest of a light curve is in force
  label_id TEXT PRIMARY KEY, key TEXT NOT NULL, labelled_ms INTEGER NOT NULL,
  verdict TEXT NOT NULL, class TEXT, comment TEXT NOT NULL, author TEXT NOT NULL,
  annotation_id TEXT NOT NULL, record TEXT NOT NULL, published INTEGER NOT NULL);
CREATE INDEX labels_of_key ON labels (key, labelled_ms);
CREATE INDEX labels_to_publish ON labels (published) WHERE published = 0;
CREATE TABLE current_labels (
  key TEXT PRIMARY KEY, label_id TEXT NOT NULL, verdict TEXT NOT NULL, class TEXT, comment TEXT NOT NULL,
  author TEXT NOT NULL, labelled_ms INTEGER NOT NULL);
"""


_MIGRATIONS = {1: "ALTER TABLE objects ADD COLUMN revision INTEGER NOT NULL DEFAULT 0"}
"""What makes of a store of one version one of the next."""


class Store:
    """The open file; safe to use from many threads.

    Parameters
    ----------
    path : Path
        Created if it is not there.

    Raises
    ------
    InputError
        The file cannot be opened or written, is something else, or was made by a newer version.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._writer = self._connect()
            self._prepare()
        except (sqlite3.Error, OSError) as error:
            msg = f"{path} cannot be used as the board's store ({error}); name another file with --store"
            raise InputError(msg) from error
        self._changes = 0

    @property
    def changes(self) -> int:
        """Return a number that grows with every transaction that wrote something, in this process."""
        return self._changes

    @contextmanager
    def writing(self, *, durable: bool = False) -> Iterator[sqlite3.Connection]:
        """Give the one writing connection inside a transaction; all or nothing.

        Parameters
        ----------
        durable : bool
            Survive a power cut from the moment that this returns. What is read from topics and files can be
            read again; what a person says cannot.
        """
        with self._lock:
            self._writer.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            self._writer.execute("BEGIN IMMEDIATE")
            before = self._writer.total_changes
            try:
                yield self._writer
            except BaseException:
                self._writer.execute("ROLLBACK")
                raise
            self._writer.execute("COMMIT")
            if self._writer.total_changes != before:
                self._changes += 1

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Give a connection that sees one state of the file, whatever is written meanwhile."""
        with closing(self._connect()) as connection:
            connection.execute("PRAGMA query_only = ON")
            connection.execute("BEGIN")
            yield connection

    def close(self) -> None:
        """Close the writing connection."""
        with self._lock:
            self._writer.close()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self.path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        connection.row_factory = sqlite3.Row
        connection.create_function("separation_arcsec", 4, separation_arcsec, deterministic=True)
        return connection

    def _prepare(self) -> None:
        try:
            application = self._writer.execute("PRAGMA application_id").fetchone()[0]
            version = self._writer.execute("PRAGMA user_version").fetchone()[0]
            empty = not self._writer.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone()
            if not empty and application != _APPLICATION_ID:
                msg = f"{self.path} is an SQLite file of something else; name another file with --store"
                raise InputError(msg)
            if version > _VERSION:
                msg = (
                    f"{self.path} was written by a newer broker-plugin (store version {version}, this one "
                    f"knows {_VERSION}); install that version, or name another file with --store"
                )
                raise InputError(msg)
            self._writer.execute("PRAGMA journal_mode = WAL")
            if empty:
                self._writer.executescript(
                    f"BEGIN; {_TABLES} PRAGMA application_id = {_APPLICATION_ID}; "
                    f"PRAGMA user_version = {_VERSION}; COMMIT;"
                )
                return
            for step in range(version, _VERSION):
                self._writer.executescript(
                    f"BEGIN; {_MIGRATIONS[step]}; PRAGMA user_version = {step + 1}; COMMIT;"
                )
        except (InputError, sqlite3.Error):
            self._writer.close()
            raise


def claim(store: Store, source: str) -> None:
    """Refuse to mix two sources in one store: rows of one would be forgotten with the other's.

    Parameters
    ----------
    store : Store
    source : str
        Name of the cluster and prefix, or of the folder.

    Raises
    ------
    InputError
        The store was fed from another source.
    """
    with store.reading() as connection:
        others = [row["source"] for row in connection.execute("SELECT DISTINCT source FROM positions")]
    foreign = [other for other in others if other != source]
    if foreign:
        msg = f"{store.path} was fed from {foreign[0]}, not from {source}; name another file with --store"
        raise InputError(msg)


def next_position(
    connection: sqlite3.Connection, source: str, topic: str, part: int
) -> tuple[int, str] | None:
    """Return where to go on reading, with the mark of what was read; None where nothing was."""
    row = connection.execute(
        "SELECT next, mark FROM positions WHERE source = ? AND topic = ? AND part = ?", (source, topic, part)
    ).fetchone()
    return None if row is None else (row["next"], row["mark"])


def set_position(
    connection: sqlite3.Connection, source: str, topic: str, part: int, *, position: int, mark: str
) -> None:
    """Remember where to go on; belongs into the transaction of the records before it."""
    connection.execute(
        "INSERT OR REPLACE INTO positions VALUES (?, ?, ?, ?, ?)", (source, topic, part, position, mark)
    )
