"""When a window of 200 epochs is due, and which epochs it holds."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from broker_plugin.lightcurve.header import BandHeader
from broker_plugin.records.epoch import EpochArray
from broker_plugin.records.window import WINDOW_EPOCHS

WindowKind = Literal["latest", "paper"]


@dataclass(frozen=True, slots=True)
class WindowSettings:
    """When windows fall due.

    Attributes
    ----------
    kind : {"latest", "paper"}
        ``"latest"``: the newest 200 epochs, at the 200th epoch and again after each ``rescore_after`` more.
        ``"paper"``: disjoint chunks of 200 in time order (Tsang & Schultz 2019, Sec. 3).
    rescore_after : int
    max_epochs : int
        Bound of the state of one (object, band).
    """

    kind: WindowKind = "latest"
    rescore_after: int = 20
    max_epochs: int = 1000


def due_windows(
    header: BandHeader, read: Callable[[], EpochArray], settings: WindowSettings
) -> tuple[BandHeader, list[EpochArray]]:
    """Tell which windows the newest epochs made due.

    The level at which a window falls due is a function of the number of epochs alone (200, then every
    ``rescore_after``), not of the number at the last emission, so that the order of arrival cannot shift it.
    A packet that jumps over several levels makes one window; one that changes none of the newest 200 epochs
    makes none.

    Parameters
    ----------
    header : BandHeader
        After the packet.
    read : callable
        Returns the light curve; called only when the header says that a window may be due.
    settings : WindowSettings

    Returns
    -------
    header : BandHeader
        With the cursors moved.
    windows : list of ndarray of EPOCH_DTYPE, shape (200,)
    """
    if settings.kind == "paper":
        return _disjoint_chunks(header, read)
    if _level(header.n_epochs, settings) <= header.due:
        return header, []
    light_curve = read()
    # The header counts chunk by chunk, so an exposure on the border of two chunks can be counted twice.
    level = _level(len(light_curve) + header.n_expired, settings)
    if level <= header.due or len(light_curve) < WINDOW_EPOCHS:
        return header, []
    window = light_curve[-WINDOW_EPOCHS:]
    digest = _digest(window)
    header, was = header._replace(due=level, window_digest=digest), header.window_digest
    return header, [] if digest == was else [window]


@dataclass(frozen=True, slots=True)
class Remainder:
    """What a withdrawal left of a light curve that had a window.

    Attributes
    ----------
    epochs : ndarray of EPOCH_DTYPE
        The newest 200 that are left, or all if there are fewer; of disjoint chunks, what the last ones had.
    is_window : bool
        Whether they are enough to be scored.
    """

    epochs: EpochArray
    is_window: bool


def after_withdrawal(
    header: BandHeader, read: Callable[[], EpochArray], settings: WindowSettings
) -> tuple[BandHeader, Remainder | None]:
    """Tell what is left of a light curve of which exposures were just withdrawn; None if it had no window.

    Whatever was said of it rests on epochs that do not count any more, so this does not wait for the next
    level; the level is set back to that of what is left, as if the withdrawn epochs had never been there. A
    disjoint chunk is not filled up again: it shrinks, and no other chunk moves.

    Parameters
    ----------
    header : BandHeader
        After the packet.
    read : callable
        Returns the light curve; called only when there was a window.
    settings : WindowSettings
    """
    if settings.kind == "paper":
        if not header.due:
            return header, None
        spent = read()
        spent = spent[spent["time_mjd"] <= header.chunk_end_mjd]
        return header, Remainder(spent[-(WINDOW_EPOCHS - 1) :], is_window=False)
    if not header.window_digest:
        return header, None
    left = read()
    if len(left) < WINDOW_EPOCHS:
        return header._replace(due=0), Remainder(left, is_window=False)
    window = left[-WINDOW_EPOCHS:]
    level = _level(len(left) + header.n_expired, settings)
    return header._replace(due=level, window_digest=_digest(window)), Remainder(window, is_window=True)


def _digest(window: EpochArray) -> int:
    """Return 64 bits of what a window shows: a value brought again by a newer packet is no change."""
    shown = b"".join(window[column].tobytes() for column in ("time_mjd", "mag", "magerr"))
    return int.from_bytes(hashlib.blake2b(shown, digest_size=8).digest(), "little")


def _level(n_epochs: int, settings: WindowSettings) -> int:
    if n_epochs < WINDOW_EPOCHS:
        return 0
    return 1 + (n_epochs - WINDOW_EPOCHS) // settings.rescore_after


def _disjoint_chunks(
    header: BandHeader, read: Callable[[], EpochArray]
) -> tuple[BandHeader, list[EpochArray]]:
    """Emit each full chunk after the last one; epochs that come late for a chunk stay out of all chunks."""
    if header.n_exposures < WINDOW_EPOCHS * (header.due + 1):
        return header, []
    light_curve = read()
    rest = light_curve[light_curve["time_mjd"] > header.chunk_end_mjd]
    n_chunks = len(rest) // WINDOW_EPOCHS
    if n_chunks == 0:
        return header, []
    chunks = [rest[i * WINDOW_EPOCHS : (i + 1) * WINDOW_EPOCHS] for i in range(n_chunks)]
    end = float(chunks[-1]["time_mjd"][-1])
    return header._replace(due=header.due + n_chunks, chunk_end_mjd=end), chunks
