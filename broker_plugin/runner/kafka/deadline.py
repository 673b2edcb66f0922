"""Deadlines for calls into the client that do not always keep their own."""

from __future__ import annotations

import threading
from collections.abc import Callable

_GRACE_SECONDS = 2.0


class HungCallError(Exception):
    """A call has not returned long after its deadline; what it was called on can never be closed."""


def call_within(seconds: float, operation: Callable[[float], None]) -> None:
    """Call an operation with a timeout, and do not wait for it much longer than that.

    librdkafka's ``send_offsets_to_transaction`` never checks its timeout while it waits for the group
    coordinator, and waits for ever when that broker was restarted (librdkafka issues 5456 and 5511; seen here
    with 2.16.0 at every restart of a broker). A hung call keeps its thread, and its thread keeps the client
    alive, since destroying that would hang as well.

    Raises
    ------
    HungCallError
    """
    raised: list[BaseException] = []

    def run() -> None:
        try:
            operation(seconds)
        except BaseException as error:  # handed to the caller's thread below
            raised.append(error)

    thread = threading.Thread(target=run, name="kafka-call", daemon=True)
    thread.start()
    thread.join(seconds + _GRACE_SECONDS)
    if thread.is_alive():
        msg = f"the client has not returned {_GRACE_SECONDS:g} s after the deadline of {seconds:.1f} s"
        raise HungCallError(msg)
    if raised:
        raise raised[0]
