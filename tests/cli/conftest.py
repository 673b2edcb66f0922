"""A command line to call, an in-process bus in Kafka's place, files as the offline mode writes them."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from broker_plugin.app import live
from broker_plugin.app.output_files import RecordFiles
from broker_plugin.cli import main
from broker_plugin.records.codec import encode_classification, encode_dead_letter, encode_novelty
from broker_plugin.runner.memory import MemoryBus
from tests.records.examples import ANNOTATION, DEAD_LETTER, NOVELTY

Call = Callable[..., Result]


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No variable of the machine decides a test, and nothing is written outside of its folder."""
    for name in list(os.environ):
        if name.startswith("BROKER_PLUGIN_") and not name.startswith("BROKER_PLUGIN_TEST_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture(autouse=True)
def _process_as_it_was() -> Iterator[None]:
    """Undo what `run` does to the process: signal handlers and logging."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    root = logging.getLogger()
    log_handlers, level = root.handlers[:], root.level
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)
    root.handlers[:] = log_handlers
    root.setLevel(level)


@pytest.fixture
def call() -> Call:
    """Return a function that runs a command line; unexpected exceptions are raised."""

    def run(*arguments: object) -> Result:
        result = CliRunner().invoke(main, [str(argument) for argument in arguments])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return run


@contextmanager
def stopped_when(done: Callable[[], bool]) -> Iterator[None]:
    """Send this process SIGTERM, inside of the block, once something is done or minutes are over."""
    before = signal.getsignal(signal.SIGTERM)

    def wait_then_stop() -> None:
        deadline = time.monotonic() + 180
        while time.monotonic() < deadline and not done():
            time.sleep(0.05)
        while signal.getsignal(signal.SIGTERM) is before:  # else the signal would end the tests
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGTERM)

    helper = threading.Thread(target=wait_then_stop, daemon=True)
    helper.start()
    yield
    helper.join()


@pytest.fixture
def bus(monkeypatch: pytest.MonkeyPatch) -> MemoryBus:
    """Put a bus in this process where every command looks for Kafka."""
    bus = MemoryBus()
    monkeypatch.setattr(live, "kafka_bus", lambda _config: bus)
    return bus


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Write a folder as an offline run leaves it: one classification, one novelty, one dead letter."""
    kinds = {"classifications": "classification", "novelties": "novelty", "dead-letters": "dead_letter"}
    with RecordFiles(tmp_path / "results", kinds) as files:
        files.write("classifications", encode_classification(ANNOTATION, 0))
        files.write("novelties", encode_novelty(NOVELTY, 0))
        files.write("dead-letters", encode_dead_letter(DEAD_LETTER))
    return tmp_path / "results"
