"""LSST alert packets, a hundred thousand a second: templates encoded once, fields of fixed width patched.

A packet is what Rubin sends (registry framing, schema 11.0, the detection, up to two previous ones, the
object), but for the cut-outs. It costs microseconds to make: a soak measures the plugin and not its load.
"""

from __future__ import annotations

import io
import math
import struct
from collections.abc import Iterator
from typing import Any

import fastavro

from broker_plugin.decode.schema_sources import BundledSchemas
from broker_plugin.simulate.avro import encode_long

SCHEMA_ID = 1100
HISTORY = 2
"""Previous detections in a packet, once the object has so many."""

FLUX_ERROR = 500.0
BAND = "r"

# Zig-zag numbers of this size take nine bytes, so one can stand in the place of another; so do Rubin's own.
_FIRST_OBJECT = 170_000_000_000_000_000
_FIRST_SOURCE = 180_000_000_000_000_000
_MARK_ID = 190_000_000_000_000_000
_MARK_NUMBER = 12345.678
_FIRST_MJD = 60900.0
_DAYS_BETWEEN = 3.0


class SoakAlerts:
    """Alerts of many objects with ten visits each, and of a few with enough for windows.

    Every 40th alert is of a hot object, one in a thousand: these come one after the other, so that windows
    fall due all along. The others come in turns: the state grows in width first, and then in depth.

    Parameters
    ----------
    n_alerts, n_objects : int
    """

    def __init__(self, n_alerts: int, n_objects: int) -> None:
        self.n_alerts = n_alerts
        self.n_hot = max(1, n_objects // 1000)
        self.n_cold = n_objects - self.n_hot
        self._templates = [_Template(n) for n in range(HISTORY + 1)]

    def packet(self, number: int, index: int, visit: int) -> bytes:
        """Return one alert: the visit of an object, its number in the stream."""
        return self._templates[min(visit, HISTORY)].packet(number, index, visit)

    def __iter__(self) -> Iterator[bytes]:
        """Yield the packets in their order."""
        n_hot = n_cold = 0
        visits = -(-self.n_alerts // (40 * self.n_hot))
        for number in range(self.n_alerts):
            if number % 40 == 39:
                index, visit = divmod(n_hot, visits)
                n_hot += 1
            else:
                visit, index = divmod(n_cold, self.n_cold)
                index += self.n_hot
                n_cold += 1
            yield self.packet(number, index, visit)


def object_id(index: int) -> str:
    """Return the id of an object."""
    return str(_FIRST_OBJECT + index)


def position(index: int) -> tuple[float, float]:
    """Return right ascension and declination of an object, degrees."""
    return (index * 0.618034 % 1.0) * 360.0, (index * 0.381966 % 1.0) * 120.0 - 70.0


def visit_mjd(index: int, visit: int) -> float:
    """Return the mid-exposure of a visit, MJD (TAI)."""
    return _FIRST_MJD + _DAYS_BETWEEN * visit + (index % 1000) / 2000.0


def visit_flux(index: int, mjd: float) -> float:
    """Return the flux at a time, nJy: a sine of 0.06 to 13 days; its error is FLUX_ERROR."""
    return 50_000.0 * (1.0 + 0.3 * math.sin(mjd * (0.5 + index % 97)))


class _Template:
    """A packet with so many previous detections, and where its variable fields are."""

    def __init__(self, n_previous: int) -> None:
        schema: Any = BundledSchemas().schema(SCHEMA_ID)
        named = schema["__named_schemas"]
        record = _blank(schema, named)
        source = _types(schema)["diaSource"]
        marks = iter(range(100))
        record["diaSource"] = self._source(source, named, marks)
        record["prvDiaSources"] = [self._source(source, named, marks) for _ in range(n_previous)]
        record["diaObject"] = _blank(_types(schema)["diaObject"], named)
        record["diaObject"] |= {
            "diaObjectId": _MARK_ID + 99,
            "ra": _MARK_NUMBER + 0.5,
            "dec": _MARK_NUMBER + 0.25,
        }
        stream = io.BytesIO(struct.pack(">bI", 0, SCHEMA_ID))
        stream.seek(0, io.SEEK_END)
        fastavro.schemaless_writer(stream, fastavro.parse_schema(schema, {}), record)
        self._bytes = stream.getvalue()
        self._object = self._find(encode_long(_MARK_ID + 99))
        self._ra = self._find(struct.pack("<d", _MARK_NUMBER + 0.5))
        self._dec = self._find(struct.pack("<d", _MARK_NUMBER + 0.25))
        self._sources = [
            (
                self._find(encode_long(_MARK_ID + mark)),
                self._find(struct.pack("<d", _MARK_NUMBER + mark)),
                self._find(struct.pack("<f", _MARK_NUMBER + mark)),
            )
            for mark in range(n_previous + 1)
        ]

    def packet(self, number: int, index: int, visit: int) -> bytes:
        """Return the alert of one visit of one object."""
        packet = bytearray(self._bytes)
        object_id = encode_long(_FIRST_OBJECT + index)
        packet[self._object : self._object + 9] = object_id
        ra, dec = position(index)
        struct.pack_into("<d", packet, self._ra, ra)
        struct.pack_into("<d", packet, self._dec, dec)
        for back, (source, time, flux) in enumerate(self._sources):
            earlier = visit - back
            packet[source : source + 9] = encode_long(_FIRST_SOURCE + number * 4 + back)
            at = visit_mjd(index, earlier)
            struct.pack_into("<d", packet, time, at)
            struct.pack_into("<f", packet, flux, visit_flux(index, at))
        return bytes(packet)

    def _find(self, mark: bytes) -> int:
        if self._bytes.count(mark) != 1:
            msg = f"mark {mark.hex()} is {self._bytes.count(mark)} times in the template, expected once"
            raise RuntimeError(msg)
        return self._bytes.index(mark)

    @staticmethod
    def _source(schema: Any, named: Any, marks: Iterator[int]) -> dict[str, Any]:
        mark = next(marks)
        source: dict[str, Any] = _blank(schema, named)
        return source | {
            "diaSourceId": _MARK_ID + mark,
            "midpointMjdTai": _MARK_NUMBER + mark,
            "scienceFlux": _MARK_NUMBER + mark,
            "scienceFluxErr": FLUX_ERROR,
            "band": BAND,
        }


_BLANKS = {
    "null": None,
    "boolean": False,
    "int": 0,
    "long": 0,
    "float": 0.0,
    "double": 0.0,
    "string": "",
    "bytes": b"",
}


def _blank(schema: Any, named: Any) -> Any:
    """Return the emptiest value of a type: null where that is allowed."""
    if isinstance(schema, list):
        return None if "null" in schema else _blank(schema[0], named)
    if isinstance(schema, str):
        return _BLANKS[schema] if schema in _BLANKS else _blank(named[schema], named)
    if schema["type"] == "record":
        return {field["name"]: _blank(field["type"], named) for field in schema["fields"]}
    return [] if schema["type"] == "array" else _blank(schema["type"], named)


def _types(schema: Any) -> dict[str, Any]:
    """Return the type of each field that is not null."""
    kinds = {field["name"]: field["type"] for field in schema["fields"]}
    return {
        name: next(branch for branch in kind if branch != "null") if isinstance(kind, list) else kind
        for name, kind in kinds.items()
    }
