"""Photometry records in a file: what was made of archives, to be used again without them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import fastavro

from broker_plugin.errors import InputError
from broker_plugin.records import schemas
from broker_plugin.records.codec import decode_photometry, encode_photometry
from broker_plugin.records.photometry import ObjectPhotometry

_KIND = "photometry"


def write_photometry_file(path: Path, records: Iterable[ObjectPhotometry]) -> int:
    """Write an Avro container, all of it or nothing; return how many records it holds.

    Raises
    ------
    InputError
        The file cannot be written.
    """
    written = 0

    def plain() -> Iterator[dict[str, Any]]:
        nonlocal written
        for photometry in records:
            written += 1
            yield schemas.decode(_KIND, encode_photometry(photometry))

    partial = path.with_name(f"{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as stream:
            schema = schemas.latest_schema(_KIND)
            fastavro.writer(stream, schema, plain(), codec="deflate", sync_marker=bytes(16))
        partial.replace(path)
    except OSError as error:
        msg = f"{path} cannot be written: {error.strerror}"
        raise InputError(msg) from error
    finally:
        partial.unlink(missing_ok=True)
    return written


def read_photometry_file(path: Path) -> Iterator[ObjectPhotometry]:
    """Yield the records of a file.

    Raises
    ------
    InputError
        It cannot be read, or holds something else.
    """
    try:
        with path.open("rb") as stream:
            for record in fastavro.reader(stream, reader_schema=schemas.latest_schema(_KIND)):
                if not isinstance(record, dict):
                    msg = f"a {type(record).__name__} where a record was expected"
                    raise TypeError(msg)
                yield decode_photometry(schemas.encode(_KIND, record, "single-object"))
    except OSError as error:
        msg = f"{path} cannot be read: {error.strerror}"
        raise InputError(msg) from error
    except Exception as error:  # fastavro raises many kinds on files that are damaged or something else
        msg = f"{path} is no file of `bootstrap --to`, or damaged: {type(error).__name__}: {str(error)[:200]}"
        raise InputError(msg) from error
