"""What the packets of both surveys have in common: a stream of them for each star."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class AlertPacket:
    """An alert, ready to be archived.

    Attributes
    ----------
    alert_id : int
    time_mjd : float
        Start of its exposure, UTC.
    payload : bytes
    """

    alert_id: int
    time_mjd: float
    payload: bytes


class PacketStream(Protocol):
    """One star seen by its survey, exposure by exposure."""

    def expose(self, index: int) -> AlertPacket | None:
        """Take the exposures in order, each once; return the alert that one causes, if any."""
