"""Bytes of a message -> alerts, or the reason why not. Never an exception, whatever the bytes."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import fastavro

from broker_plugin.decode import lsst, ztf
from broker_plugin.decode.alert import Alert, Malformed, MalformedError, Reason, Rejected, RejectedError
from broker_plugin.decode.container import embedded_schema, header_end, read_blocks, read_metadata
from broker_plugin.decode.framing import is_container, split_registry_frame
from broker_plugin.decode.scan import Scan, compile_scan
from broker_plugin.decode.schema_sources import BundledSchemas, SchemaMissing, SchemaSource
from broker_plugin.decode.selection import Scanned, select
from broker_plugin.decode.writer_schema import WriterSchema, parse_writer_schema

_WANTED = {"ztf": ztf.WANTED, "lsst": lsst.WANTED}

_REMEMBERED_SCHEMAS = 64
"""Headers come from outside and take 100 kB each when parsed: ever new ones must not fill the memory."""


@dataclass(slots=True)
class _Reader:
    """A schema in use: parsed, and from its second packet on compiled for scanning."""

    schema: WriterSchema
    codec: str = "null"
    uses: int = 0
    scan: Scan | None = None


class Decoder:
    """Decodes packets of either survey in either framing, parsing each schema once.

    Parameters
    ----------
    schemas : SchemaSource, optional
        Answers the schema ids of registry-framed packets. Default: the schemas that are
        bundled in ``lsst-alert-packet``.
    scan : bool
        Read by compiled expressions where that is possible; otherwise by fastavro throughout.

    Attributes
    ----------
    schemas_parsed, schema_hits : int
        How often a schema was parsed, and how often a parsed one was at hand.
    """

    def __init__(self, schemas: SchemaSource | None = None, *, scan: bool = True) -> None:
        self._schemas = schemas if schemas is not None else BundledSchemas()
        self._may_scan = scan
        self._readers: dict[bytes | int, _Reader] = {}
        self.schemas_parsed = 0
        self.schema_hits = 0

    def decode(self, data: bytes | None) -> list[Alert | Malformed | Rejected]:
        """Decode one message.

        Parameters
        ----------
        data : bytes or None
            A message's value.

        Returns
        -------
        list
            One entry for each record in the message, in order; a single :class:`Malformed` where the message
            as a whole cannot be used.
        """
        try:
            return self._decode(data or b"")
        except MalformedError as error:
            return [error.value]
        except (Exception, MemoryError) as error:
            # No known bytes lead here. A record that nobody foresaw must not stop the stream.
            return [
                Malformed(Reason.BAD_AVRO.value, f"{type(error).__name__}: {error}".replace("\n", " ")[:300])
            ]

    def _decode(self, data: bytes) -> list[Alert | Malformed | Rejected]:
        if not is_container(data):
            schema_id, payload = split_registry_frame(data)
            return [self._read_last(self._registry_reader(schema_id), payload)]
        header = header_end(data)
        reader = self._container_reader(data[:header])
        results: list[Alert | Malformed | Rejected] = []
        for block in read_blocks(data, header, reader.codec):
            results.extend(self._read_many(reader, block.payload, block.count))
        if not results:
            raise MalformedError(Reason.EMPTY, "the object container holds no record")
        return results

    def _container_reader(self, header: bytes) -> _Reader:
        """Return the reader for a header; the key is the header itself, so that no hash can collide."""
        reader = self._readers.get(header)
        if reader is None:
            schema, codec = embedded_schema(read_metadata(header))
            reader = self._remember(header, schema, codec)
        else:
            self.schema_hits += 1
        return self._prepared(reader)

    def _registry_reader(self, schema_id: int) -> _Reader:
        reader = self._readers.get(schema_id)
        if reader is None:
            schema = self._schemas.schema(schema_id)
            if isinstance(schema, SchemaMissing):
                raise MalformedError(Reason.UNKNOWN_SCHEMA, f"schema id {schema_id}: {schema.detail}")
            reader = self._remember(schema_id, schema, "null")
        else:
            self.schema_hits += 1
        return self._prepared(reader)

    def _remember(self, key: bytes | int, schema: Any, codec: str) -> _Reader:
        parsed = parse_writer_schema(schema)
        self.schemas_parsed += 1
        if parsed.survey is None:
            detail = f"record {parsed.name!r} is neither a ZTF alert (objectId, candidate) nor an LSST one"
            raise MalformedError(Reason.UNKNOWN_SCHEMA, f"{detail} (diaSource, diaObject)")
        if len(self._readers) >= _REMEMBERED_SCHEMAS:
            del self._readers[next(iter(self._readers))]
        reader = self._readers[key] = _Reader(parsed, codec)
        return reader

    def _prepared(self, reader: _Reader) -> _Reader:
        """Compile at the second use: compiling costs as much as decoding a hundred packets."""
        reader.uses += 1
        if reader.uses == 2 and self._may_scan:
            schema = reader.schema
            reader.scan = compile_scan(schema.parsed, schema.named, _WANTED[str(schema.survey)])
        return reader

    def _read_many(self, reader: _Reader, payload: bytes, count: int) -> list[Alert | Malformed | Rejected]:
        results: list[Alert | Malformed | Rejected] = []
        position = 0
        for _ in range(count):
            found, position = _read(reader, payload, position)
            results.append(_alert_or_reason(reader.schema, found))
        _expect_end(payload, position)
        return results

    def _read_last(self, reader: _Reader, payload: bytes) -> Alert | Malformed | Rejected:
        found, position = _read(reader, payload, 0)
        _expect_end(payload, position)
        return _alert_or_reason(reader.schema, found)


def _read(reader: _Reader, payload: bytes, position: int) -> tuple[Scanned | MalformedError, int]:
    """Read a record by scan, else by fastavro."""
    if reader.scan is not None:
        scanned = reader.scan.read(payload, position)
        if scanned is not None:
            return scanned
    stream = io.BytesIO(payload)
    stream.seek(position)
    try:
        # The scan does not look at texts that nobody asked for: damage there must not count here, either.
        record = fastavro.schemaless_reader(
            stream, reader.schema.parsed, None, handle_unicode_errors="replace"
        )
    except EOFError as error:
        detail = f"the record ends within a value, at byte {len(payload)} of its block"
        raise MalformedError(Reason.TRUNCATED, detail) from error
    except (Exception, MemoryError) as error:
        # Random bytes make fastavro raise nearly anything: IndexError for a union, UnicodeDecodeError,
        # OverflowError, MemoryError for a length.
        raise MalformedError(
            Reason.BAD_AVRO, f"{type(error).__name__}: {error}".replace("\n", " ")[:300]
        ) from error
    try:
        return select(record, _WANTED[str(reader.schema.survey)]), stream.tell()
    except MalformedError as error:
        return error, stream.tell()


def _alert_or_reason(schema: WriterSchema, found: Scanned | MalformedError) -> Alert | Malformed | Rejected:
    try:
        if isinstance(found, MalformedError):
            return found.value
        if schema.survey == "ztf":
            return ztf.alert_from(found)
        return lsst.alert_from(found, lsst.version_of(schema.name))
    except (MalformedError, RejectedError) as error:
        return error.value


def _expect_end(payload: bytes, position: int) -> None:
    if position != len(payload):
        left = len(payload) - position
        raise MalformedError(
            Reason.TRAILING_BYTES, f"{left} bytes follow the last record; the schema does not fit"
        )
