"""The local cache on disk: one RocksDB a partition, under ``state_dir/<stage>/<partition>/``.

RocksDB's write-ahead log is not synced: a power cut loses the tail of the cache, never its order, and the
stamp that goes with the data says from where the changelog must be read again.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from rocksdict import BlockBasedOptions, Cache, DBCompressionType, Options, Rdict, ReadOptions, WriteBatch

from broker_plugin.errors import ConfigurationError
from broker_plugin.runner.store import CacheStamp, LocalStateError

logger = logging.getLogger(__name__)

_STAMP_KEY = b"s"  # data keys are stored as b"d" + key, so the stamp can never be taken for one
_MAX_SLOTS = 8
_BLOCK_CACHE_BYTES = 64 << 20  # shared by all partitions of the process
_MEMTABLE_BYTES = 4 << 20  # for each partition, twice at most; a worker may own dozens
# The system's own words in RocksDB's message for what wiping would not mend.
_NOT_OUR_DAMAGE = ("No space left", "Permission denied", "Read-only file system", "Too many open files")

_SIZES = ("rocksdb.total-sst-files-size", "rocksdb.cur-size-all-mem-tables")

_block_cache: Cache | None = None


class RocksStore:
    """See :class:`broker_plugin.runner.store.LocalStore`."""

    def __init__(self, stage_dir: Path, partition: int) -> None:
        self._partition = partition
        self.path, self._db = _open_slot(stage_dir, partition)

    def get(self, key: bytes) -> bytes | None:
        """Return the value, or None where there is none."""
        try:
            value: bytes | None = self._db.get(b"d" + key)
        except Exception as error:
            raise LocalStateError(self._partition, str(error)) from error
        return value

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield (key, value) of every key that starts with the prefix, in key order."""
        start = b"d" + prefix
        options = ReadOptions()
        options.set_iterate_upper_bound(_successor(start))
        try:
            # Not items(): at a block that cannot be read, it ends as if there were no more.
            entries = self._db.iter(options)
            entries.seek(start)
            while entries.valid():
                yield entries.key()[1:], entries.value()
                entries.next()
            entries.status()
        except Exception as error:
            raise LocalStateError(self._partition, str(error)) from error

    def stamp(self) -> CacheStamp | None:
        """Return the stamp of the last :meth:`apply`, None for a fresh or unreadable cache."""
        try:
            data = self._db.get(_STAMP_KEY)
        except Exception as error:
            raise LocalStateError(self._partition, str(error)) from error
        if data is None:
            return None
        try:
            return CacheStamp.from_bytes(data)
        except (ValueError, KeyError, TypeError, AttributeError):
            logger.warning("local state %s has an unreadable stamp; it counts as fresh", self.path)
            return None

    def apply(self, changes: Mapping[bytes, bytes | None], stamp: CacheStamp) -> None:
        """Set and delete keys and replace the stamp in one atomic write."""
        batch = WriteBatch(raw_mode=True)
        for key, value in changes.items():
            if value is None:
                batch.delete(b"d" + key)
            else:
                batch.put(b"d" + key, value)
        batch.put(_STAMP_KEY, stamp.to_bytes())
        try:
            self._db.write(batch)
        except Exception as error:
            raise LocalStateError(self._partition, str(error)) from error

    def size_bytes(self) -> int | None:
        """Return the size of the tables on disk and of what is in memory on its way there."""
        try:
            sizes = [self._db.property_int_value(name) for name in _SIZES]
        except Exception:  # closed or damaged: whoever reads from it will tell
            return None
        return sum(size or 0 for size in sizes)

    def wipe(self) -> None:
        """Forget everything: the files go, an empty database takes their place."""
        if self._is_empty():
            return
        self.close()
        shutil.rmtree(self.path, ignore_errors=True)
        try:
            self._db = _open(self.path)
        except Exception as error:
            raise LocalStateError(self._partition, str(error)) from error

    def _is_empty(self) -> bool:
        try:
            entries = self._db.iter()
            entries.seek_to_first()
            entries.status()
        except Exception:  # damaged: there is something
            return False
        return not entries.valid()

    def close(self) -> None:
        """Let go of the files."""
        try:
            self._db.close()
        except Exception as error:  # a damaged database may fail to flush; the changelog has it all
            logger.warning("closing local state %s: %s", self.path, error)


def _open_slot(stage_dir: Path, partition: int) -> tuple[Path, Rdict]:
    """Open the first directory of a partition that no other process holds.

    A stopped or hung former owner on this machine may hold the lock for ever; the new owner then uses
    ``<partition>.1``. Whatever a slot holds, its stamp says what it is worth.
    """
    for slot in range(_MAX_SLOTS):
        path = stage_dir / (str(partition) if slot == 0 else f"{partition}.{slot}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            return path, _open(path)
        except Exception as error:
            text = str(error)
            if "lock" in text.lower() and "LOCK" in text:
                logger.warning("local state %s is held by another worker; using the next directory", path)
                continue
            if isinstance(error, OSError) or any(words in text for words in _NOT_OUR_DAMAGE):
                msg = (
                    f"state directory {path} cannot be used: {text}: make room or mend "
                    "'accumulate.state_directory'"
                )
                raise ConfigurationError(msg) from error
            logger.warning("local state %s is damaged (%s); wiping it, the changelog has it all", path, text)
            shutil.rmtree(path, ignore_errors=True)
            try:
                return path, _open(path)
            except Exception as again:
                msg = (
                    f"state directory {path} cannot be used even after wiping it: {again}: mend "
                    "'accumulate.state_directory'"
                )
                raise ConfigurationError(msg) from again
    msg = (
        f"all {_MAX_SLOTS} directories {stage_dir}/{partition}[.n] are held by other workers: stop those "
        "that hang, or give each worker its own 'accumulate.state_directory'"
    )
    raise ConfigurationError(msg)


def _open(path: Path) -> Rdict:
    global _block_cache  # noqa: PLW0603  one cache bounds the memory of all partitions together
    if _block_cache is None:
        _block_cache = Cache(_BLOCK_CACHE_BYTES)
    table = BlockBasedOptions()
    table.set_block_cache(_block_cache)
    table.set_bloom_filter(10.0, False)
    options = Options(raw_mode=True)
    options.set_block_based_table_factory(table)
    options.set_write_buffer_size(_MEMTABLE_BYTES)
    options.set_max_write_buffer_number(2)
    options.set_compression_type(DBCompressionType.lz4())
    options.set_keep_log_file_num(2)
    options.set_max_open_files(256)
    return Rdict(str(path), options)


def _successor(prefix: bytes) -> bytes:
    """Return the least byte string above everything that starts with a prefix whose first byte is no 0xff."""
    stripped = prefix.rstrip(b"\xff")
    return stripped[:-1] + bytes([stripped[-1] + 1])
