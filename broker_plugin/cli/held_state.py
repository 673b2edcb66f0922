"""What is stored of an object, read without disturbing whoever owns it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from broker_plugin.errors import InputError
from broker_plugin.lightcurve.header import BandHeader
from broker_plugin.lightcurve.history import HEADERS, BandHistory
from broker_plugin.records.epoch import EpochArray
from broker_plugin.records.photometry import object_key
from broker_plugin.runner.bus import Bus, read_partition
from broker_plugin.runner.changelog import replay_records
from broker_plugin.runner.partitioner import partition_for

_STAGE = "accumulate"


@dataclass(frozen=True, slots=True)
class HeldBand:
    """One object in one band.

    Attributes
    ----------
    band : str
    header : BandHeader
    epochs : ndarray of EPOCH_DTYPE
        One per exposure, in time order.
    """

    band: str
    header: BandHeader
    epochs: EpochArray


class FrozenStore:
    """The state of one object as a store that cannot be written."""

    def __init__(self, values: Mapping[bytes, bytes]) -> None:
        self._values = dict(sorted(values.items()))

    def get(self, key: bytes) -> bytes | None:
        """Return the value, or None."""
        return self._values.get(key)

    def put(self, key: bytes, value: bytes | None) -> None:
        """Refuse."""
        msg = "this state is only looked at"
        raise TypeError(msg)

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield (key, value) under the prefix, in key order."""
        return ((key, value) for key, value in self._values.items() if key.startswith(prefix))


def held_bands(store: FrozenStore, survey: str, object_id: str) -> list[HeldBand]:
    """Return what a store holds of an object, by band in alphabetical order.

    Raises
    ------
    InputError
        The state has a layout that this version does not know.
    """
    key = object_key(survey, object_id)
    prefix = HEADERS + key + b"/"
    bands = []
    for name, packed in store.scan(prefix):
        band = name.removeprefix(prefix).decode()
        try:
            header = BandHeader.unpack(packed)
        except ValueError as error:
            msg = f"the state of {survey} {object_id} was written by another version of this program: {error}"
            raise InputError(msg) from error
        bands.append(HeldBand(band, header, BandHistory(store, key, band).light_curve()))
    return bands


def from_changelog(bus: Bus, topic: str, partitions: int, survey: str, object_id: str) -> FrozenStore:
    """Read an object's state from the committed changelog of a cluster, running or not."""
    key = object_key(survey, object_id)
    changes, _ = replay_records(read_partition(bus, topic, partition_for(key, partitions)), {})
    own = {name: value for name, value in changes.items() if value is not None and _belongs(name, key)}
    return FrozenStore(own)


def from_directory(state_directory: Path, survey: str, object_id: str) -> FrozenStore:
    """Read an object's state from a worker's local cache.

    Raises
    ------
    InputError
        There is no cache, or it cannot be opened.
    """
    from rocksdict import AccessType, Options, Rdict

    key = object_key(survey, object_id)
    folder = state_directory / _STAGE
    caches = sorted(path for path in folder.glob("*") if (path / "CURRENT").exists())
    if not caches:
        msg = (
            f"{folder} holds no state: set accumulate.state_directory to the worker's, "
            "or read the cluster's changelog with --changelog"
        )
        raise InputError(msg)
    values: dict[bytes, bytes] = {}
    for path in caches:
        try:
            cache = Rdict(str(path), Options(raw_mode=True), access_type=AccessType.read_only())
        except Exception as error:  # rocksdict raises plain Exception
            msg = (
                f"the state in {path} cannot be opened: {error}; read the changelog with --changelog instead"
            )
            raise InputError(msg) from error
        try:
            for stored, value in cache.items(from_key=b"d"):
                if stored.startswith(b"d") and _belongs(stored[1:], key):
                    values[stored[1:]] = value
        finally:
            cache.close()
    return FrozenStore(values)


def _belongs(name: bytes, key: bytes) -> bool:
    """Return whether a state key is the object's: its kind, a slash, the object's key, a slash, the rest."""
    return name.partition(b"/")[2].startswith(key + b"/")
