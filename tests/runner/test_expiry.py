"""Input that expired before it was read: told as an error and counted, and what is left is read."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from tests.runner.counting import fill, outputs
from tests.runner.test_restore import HERE, Setup


@pytest.mark.parametrize("cached", [False, True])
def test_records_that_expired_unread_are_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, cached: bool
) -> None:
    """The worker was down for longer than the retention."""
    setup = Setup(tmp_path if cached else None)
    setup.work(30)
    fill(setup.bus, "t", 30, first=30)
    setup.bus.delete_records(HERE, 45)

    with caplog.at_level(logging.ERROR):
        tally = setup.work(0)

    (record,) = caplog.records
    assert "LOST: up to 15 records of t.in/0 (offsets 30 to 44) expired" in record.getMessage()
    assert tally.expired == 15
    assert sum(outputs(setup.bus, "t").values()) == 30 + 15
    assert setup.bus.committed("t.count", [HERE]) == {HERE: 60}


def test_records_that_expired_before_the_first_start_are_nobodys_loss(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A new group begins at what there is."""
    setup = Setup(None)
    fill(setup.bus, "t", 500)
    setup.bus.delete_records(HERE, 450)

    with caplog.at_level(logging.ERROR):
        setup.work(0)

    assert not caplog.records
    assert sum(outputs(setup.bus, "t").values()) == 50


def test_records_that_expired_were_read(caplog: pytest.LogCaptureFixture) -> None:
    """The everyday case: all that is gone was processed long ago."""
    setup = Setup(None)
    setup.work(300)
    setup.bus.delete_records(HERE, 300)

    with caplog.at_level(logging.ERROR):
        setup.work(20)

    assert not caplog.records
