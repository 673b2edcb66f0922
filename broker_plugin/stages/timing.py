"""When things happened, for the delay metrics: what travels with a record, and what is computed from it.

Nothing here is part of a result: the same records at another time lead to the same annotations.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from broker_plugin.photometry.times import mjd_tai_from_bmjd_tdb, tai_minus_utc
from broker_plugin.records.window import Window
from broker_plugin.runner.protocols import Message, Observation

Headers = tuple[tuple[str, bytes], ...]

CONSUMED_AT = "consumed-at-ms"
"""Header: when ingest read the alert that a record comes from, milliseconds since 1970 in decimal digits."""

_MJD_1970 = 40587.0
_DAY_SECONDS = 86400.0


def consumed_now(seconds: float) -> Headers:
    """Return the header for what ingest makes at a time, in seconds since 1970."""
    return ((CONSUMED_AT, str(round(seconds * 1000)).encode()),)


def passed_on(message: Message) -> Headers:
    """Return the header of a message, for what is made of it."""
    return tuple(header for header in message.headers if header[0] == CONSUMED_AT)


def delays(windows: Sequence[Window], messages: Sequence[Message]) -> Iterator[Observation]:
    """Yield when each window's alert was exposed, and when it was consumed, as far as that is known.

    A window that no alert brought, but an archive's history, says nothing about how quick we are.

    Parameters
    ----------
    windows : sequence of Window
    messages : sequence of Message
        That the windows came in.
    """
    if not windows:
        return
    mjd_tai = mjd_tai_from_bmjd_tdb(
        np.array([window.alert_time_mjd for window in windows]),
        np.array([window.ra for window in windows]),
        np.array([window.dec for window in windows]),
    )
    seconds = (mjd_tai - _MJD_1970) * _DAY_SECONDS - tai_minus_utc(mjd_tai)
    for window, message, exposed_at in zip(windows, messages, seconds.tolist(), strict=True):
        labels = {"survey": window.survey}
        consumed = passed_on(message)
        if consumed and np.isfinite(exposed_at):
            yield Observation("exposure_to_publish_seconds", exposed_at, labels)
        for _, digits in consumed:
            if digits.isdigit() and len(digits) < 16:
                yield Observation("consume_to_publish_seconds", int(digits) / 1000, labels)
