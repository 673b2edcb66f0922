"""Find the archives and the packet files below what a person named."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from broker_plugin.errors import InputError

PACKET_SUFFIX = ".avro"
_ARCHIVE_SUFFIXES = (".tar.gz", ".tgz", ".tar")
_GZIP_MAGIC = b"\x1f\x8b"
_USTAR_MAGIC = b"ustar"
_USTAR_OFFSET = 257


@dataclass(frozen=True, slots=True)
class Source:
    """A file that holds packets: an archive, or one packet."""

    path: Path
    is_archive: bool


def find_sources(paths: Sequence[Path]) -> list[Source]:
    """List the sources under files and directories, in the order given; sorted by name within a directory.

    Parameters
    ----------
    paths : sequence of Path
        Archives, packets, or directories of either, to any depth. A file that is named may have any name; in
        a directory only ``.avro``, ``.tar``, ``.tar.gz`` and ``.tgz`` count.

    Raises
    ------
    InputError
        When a path does not exist, cannot be read, or is a directory with neither packets nor archives.
    """
    sources: list[Source] = []
    for path in paths:
        try:
            found = list(_walk(path)) if path.is_dir() else [Source(path, _looks_like_archive(path))]
        except OSError as error:
            msg = (
                f"{error.filename or path}: {error.strerror}; name an alert archive, a packet or a directory"
            )
            raise InputError(msg) from error
        if not found:
            suffixes = " ".join((PACKET_SUFFIX, *_ARCHIVE_SUFFIXES))
            msg = f"{path}: a directory without alerts; expected files named *{suffixes.replace(' ', ', *')}"
            raise InputError(msg)
        sources.extend(found)
    return sources


def _walk(directory: Path) -> Iterator[Source]:
    for entry in sorted(directory.iterdir(), key=lambda path: path.name):
        if entry.is_dir():
            if not entry.is_symlink():  # a link to a parent would never end
                yield from _walk(entry)
        elif entry.name.endswith(_ARCHIVE_SUFFIXES):
            yield Source(entry, is_archive=True)
        elif entry.name.endswith(PACKET_SUFFIX):
            yield Source(entry, is_archive=False)


def _looks_like_archive(path: Path) -> bool:
    """Tell by the name, then by the content."""
    with path.open("rb") as stream:
        head = stream.read(_USTAR_OFFSET + len(_USTAR_MAGIC))
    if path.name.endswith(PACKET_SUFFIX):
        return False
    return (
        path.name.endswith(_ARCHIVE_SUFFIXES)
        or head[:2] == _GZIP_MAGIC
        or head[_USTAR_OFFSET:] == _USTAR_MAGIC
    )
