"""What can happen to the directory of a partition's local cache while its worker is away."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from broker_plugin.runner.rocks import RocksStore


@dataclass(frozen=True, slots=True)
class Caches:
    """The directories that a damage may use; all workers are stopped.

    Attributes
    ----------
    victim : Path
        Of the partition under attack, as its worker has left it.
    earlier : Path
        A copy of the same partition's from an hour ago, say.
    neighbour : Path
        A copy of another partition's, up to date.
    foreign : Path
        A copy of the same partition's in another installation.
    """

    victim: Path
    earlier: Path
    neighbour: Path
    foreign: Path


Damage = Callable[[Caches, random.Random], None]


def wiped(caches: Caches, rng: random.Random) -> None:
    # The disk is new.
    shutil.rmtree(caches.victim)


def stale(caches: Caches, rng: random.Random) -> None:
    # Restored from a copy of an hour ago.
    _replace(caches.victim, caches.earlier)


def of_another_partition(caches: Caches, rng: random.Random) -> None:
    # Directories were renamed.
    _replace(caches.victim, caches.neighbour)


def of_another_installation(caches: Caches, rng: random.Random) -> None:
    # Two installations have had the same directory.
    _replace(caches.victim, caches.foreign)


def mixed_with_stale(caches: Caches, rng: random.Random) -> None:
    # A copy that was interrupted: some files are of an hour ago, the rest is new.
    for path in _files(caches.earlier):
        if rng.random() < 0.5:
            shutil.copy(path, caches.victim / path.name)


def truncated_sst(caches: Caches, rng: random.Random) -> None:
    # A table ends in the middle.
    for path in _tables(caches):
        _truncate(path, rng.random())


def garbled_sst(caches: Caches, rng: random.Random) -> None:
    # Some bytes of each table are others; its size is right.
    for path in _tables(caches):
        _garble(path, rng)


def deleted_sst(caches: Caches, rng: random.Random) -> None:
    # The tables are gone, the list of them is there.
    for path in _tables(caches):
        path.unlink()


def garbage_manifest(caches: Caches, rng: random.Random) -> None:
    # The list of tables is none.
    for path in _files(caches.victim, "MANIFEST-*"):
        path.write_bytes(rng.randbytes(path.stat().st_size))


def truncated_manifest(caches: Caches, rng: random.Random) -> None:
    # The list of tables ends in the middle.
    for path in _files(caches.victim, "MANIFEST-*"):
        _truncate(path, rng.random())


def garbage_current(caches: Caches, rng: random.Random) -> None:
    # The file that names the list names nothing.
    (caches.victim / "CURRENT").write_bytes(rng.randbytes(16))


def empty_current(caches: Caches, rng: random.Random) -> None:
    # The machine lost power while it was written.
    (caches.victim / "CURRENT").write_bytes(b"")


def deleted_wal(caches: Caches, rng: random.Random) -> None:
    # The newest writes, that are in no table yet, are gone.
    for path in _files(caches.victim, "*.log"):
        path.unlink()


def truncated_wal(caches: Caches, rng: random.Random) -> None:
    # The newest writes end in the middle of one.
    for path in _files(caches.victim, "*.log"):
        _truncate(path, rng.random())


def garbled_wal(caches: Caches, rng: random.Random) -> None:
    # Some bytes of the newest writes are others.
    for path in _files(caches.victim, "*.log"):
        _garble(path, rng)


def empty_files(caches: Caches, rng: random.Random) -> None:
    # All files are there and empty.
    for path in _files(caches.victim):
        path.write_bytes(b"")


def unreadable_stamp(caches: Caches, rng: random.Random) -> None:
    # Another program's RocksDB, or a stamp of another version.
    store = RocksStore(caches.victim.parent, int(caches.victim.name))
    store._db[b"s"] = b"no stamp"
    store.close()


DAMAGES: tuple[Damage, ...] = (
    wiped,
    stale,
    of_another_partition,
    of_another_installation,
    mixed_with_stale,
    truncated_sst,
    garbled_sst,
    deleted_sst,
    garbage_manifest,
    truncated_manifest,
    garbage_current,
    empty_current,
    deleted_wal,
    truncated_wal,
    garbled_wal,
    empty_files,
    unreadable_stamp,
)


def _tables(caches: Caches) -> Iterator[Path]:
    # What a killed worker has left may all be in the log; whoever opens and closes it makes tables of that.
    RocksStore(caches.victim.parent, int(caches.victim.name)).close()
    yield from _files(caches.victim, "*.sst")


def _replace(victim: Path, other: Path) -> None:
    shutil.rmtree(victim)
    shutil.copytree(other, victim)


def _files(folder: Path, pattern: str = "*") -> Iterator[Path]:
    # Yield what matches and is not empty; a damage that strikes nothing would prove nothing.
    found = [path for path in sorted(folder.glob(pattern)) if path.is_file() and path.stat().st_size]
    assert found, f"{folder} has no {pattern}: {sorted(path.name for path in folder.iterdir())}"
    yield from found


def _truncate(path: Path, fraction: float) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: int(fraction * len(data))])


def _garble(path: Path, rng: random.Random) -> None:
    data = bytearray(path.read_bytes())
    for _ in range(max(20, len(data) // 2000)):
        data[rng.randrange(len(data))] ^= rng.randrange(1, 256)
    path.write_bytes(data)
