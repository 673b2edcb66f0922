"""Stream the members of a tar archive, and notice when it is broken.

``tarfile`` takes a damaged header in the middle of an archive for its end, and so would lose the rest of
a night without a word. Here the end has to be a zero block, or the end of the file where a header would
start (the archives of ZTF have no end mark), and gzip's length and checksum have to fit.
"""

from __future__ import annotations

import gzip
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Self

from broker_plugin.archive.sources import PACKET_SUFFIX
from broker_plugin.errors import InputError

_GZIP_MAGIC = b"\x1f\x8b"
_READ_BYTES = 1 << 16

# tarfile exports only the base of its header errors; these two are ends, the others are damage.
_END_ERRORS = ("EOFHeaderError", "EmptyHeaderError")


def read_members(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield name and bytes of each packet in an archive, in its order; other members are passed over.

    The memory in use is that of one packet.

    Raises
    ------
    InputError
        When the archive is damaged or ends early; packets before that place have been yielded.
    """
    with _guard(path), _open(path) as archive:
        for member in _packets(archive):
            stream = archive.extractfile(member)
            if stream is not None:
                yield member.name, stream.read()


def count_members(path: Path) -> int:
    """Count the packets in an archive, decompressing it but reading only the headers.

    Raises
    ------
    InputError
        As :func:`read_members`.
    """
    with _guard(path), _open(path) as archive:
        return sum(1 for _ in _packets(archive))


class _StrictHeader(tarfile.TarInfo):
    """A header block that must be sound, or an end."""

    @classmethod
    def fromtarfile(cls, archive: tarfile.TarFile) -> Self:
        try:
            return super().fromtarfile(archive)
        except tarfile.HeaderError as error:
            if type(error).__name__ in _END_ERRORS:
                raise
            msg = str(error)
            raise tarfile.ReadError(msg) from error


def _packets(archive: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    while (member := archive.next()) is not None:
        # tarfile keeps every header it has seen: 1 kB each, half a gigabyte for a night of LSST.
        archive.members = []  # type: ignore[attr-defined]  # public, but not in typeshed
        if member.isfile() and member.name.endswith(PACKET_SUFFIX):
            yield member


@contextmanager
def _open(path: Path) -> Iterator[tarfile.TarFile]:
    with ExitStack() as stack:
        raw: IO[bytes] = stack.enter_context(path.open("rb"))
        zipped = raw.read(2) == _GZIP_MAGIC
        raw.seek(0)
        # Through gzip's own reader and not tarfile's "r|gz": only the former checks length and checksum.
        plain = stack.enter_context(gzip.GzipFile(fileobj=raw)) if zipped else raw
        archive = stack.enter_context(tarfile.open(fileobj=plain, mode="r|", tarinfo=_StrictHeader))
        yield archive
        while plain.read(_READ_BYTES):  # to the checksum
            pass


@contextmanager
def _guard(path: Path) -> Iterator[None]:
    """Turn whatever a broken archive raises into an InputError that names it."""
    try:
        yield
    except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
        msg = f"{path}: not a whole tar archive ({error}); fetch it again, or leave it out"
        raise InputError(msg) from error
