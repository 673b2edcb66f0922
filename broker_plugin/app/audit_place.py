"""The part of an audit that is about places: a stage's changelog and its group stand at one offset."""

from __future__ import annotations

from collections.abc import Iterator


def place_problems(where: str, stands: int | None, committed: int | None) -> Iterator[str]:
    """Yield a line that begins with ``where`` if the changelog stands elsewhere than the group."""
    if stands != committed:
        yield f"{where}: the changelog stands at {stands}, the group at {committed}"
