"""Alert archives: read their packets, and give them out at a pace."""

from __future__ import annotations

from broker_plugin.archive.faults import Fault, FaultReport, FaultSettings, with_faults
from broker_plugin.archive.pace import pace
from broker_plugin.archive.packets import Packet, count_packets, iter_packets
from broker_plugin.archive.times import AlertClock, packet_time

__all__ = [
    "AlertClock",
    "Fault",
    "FaultReport",
    "FaultSettings",
    "Packet",
    "count_packets",
    "iter_packets",
    "pace",
    "packet_time",
    "with_faults",
]
