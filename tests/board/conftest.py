"""A store, filled or empty."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from broker_plugin.board.intake import put_annotation
from broker_plugin.board.store import Store
from tests.board.examples import record


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """Return a new store."""
    store = Store(tmp_path / "board.sqlite")
    yield store
    store.close()


@pytest.fixture
def filled(store: Store) -> Store:
    """Return a store with thirty light curves, the first annotated three times."""
    with store.writing() as connection:
        for window in (0, 1, 2):
            put_annotation(connection, record(1, window))
        for number in range(2, 31):
            put_annotation(connection, record(number))
    return store
