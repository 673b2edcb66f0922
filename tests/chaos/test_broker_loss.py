"""A broker that restarts, dies, falls silent: alone, and as one of three."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from broker_plugin.errors import BrokerUnreachableError, FatalBusError, FencedError
from tests.chaos.harness import Installation, Worker, note
from tests.chaos.load import light_curve_stream
from tests.kafka_server import KafkaCluster, KafkaServer

pytestmark = pytest.mark.kafka

SEED = 20190611
N_OBJECTS = 8
RECORDS_PER_SECOND = 60.0
GAVE_UP = {error.exit_code for error in (BrokerUnreachableError, FatalBusError, FencedError)}


class Crew:
    """Two workers under a supervisor that starts anew whoever has given up on the broker."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation
        self.workers = [installation.worker(name) for name in "ab"]
        self.restarts = 0

    def supervise(self, seconds: float) -> None:
        """Look after them for some time."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self.workers = [self._replaced(worker) for worker in self.workers]
            time.sleep(0.2)

    def settle(self) -> None:
        """Look after them until everything there is to do is done."""
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(self._installation.wait_until_idle, exits=True)
            while not waiting.done():
                self.supervise(0.5)
            waiting.result()

    def finish(self) -> None:
        """Stop them in order."""
        for worker in self.workers:
            worker.leave()

    def _replaced(self, worker: Worker) -> Worker:
        if worker.alive:
            return worker
        assert worker.process.returncode in GAVE_UP, f"{worker.process.returncode}: {worker.output[-4000:]}"
        assert "Traceback" not in worker.output, worker.output[-4000:]
        self.restarts += 1
        return self._installation.worker(worker.name)


def attack(
    installation: Installation, name: str, seed: int, blows: list[Callable[[Crew], None]], rest_seconds: float
) -> None:
    """Deal one blow after the other under load, with some seconds in between; then judge."""
    rng = random.Random(seed)
    n_epochs = 4000 * (1 + len(blows))  # 7000 records a blow, or 2 min: the load outlasts the attack
    started = time.monotonic()
    installation.create_topics()
    with installation.feed(light_curve_stream(seed, N_OBJECTS, n_epochs), RECORDS_PER_SECOND) as feeder:
        crew = Crew(installation)
        installation.wait_for_progress(100)
        recoveries = []
        for blow in blows:
            crew.supervise(rest_seconds * rng.random())
            blow(crew)
            struck = time.monotonic()
            with ThreadPoolExecutor(1) as pool:
                progress = pool.submit(installation.wait_for_progress, 50)
                while not progress.done():
                    crew.supervise(0.2)
                progress.result()
            recoveries.append(time.monotonic() - struck)
        crew.supervise(rest_seconds)
        installation.wait_until_fed(feeder, 70 * N_OBJECTS)
        feeder.halt()
    crew.settle()
    crew.finish()
    report = installation.check(where=f"seed {seed}")
    assert installation.check_caches() > 0
    note(
        name,
        blows=len(blows),
        worker_exits=crew.restarts,
        records=report.photometry,
        windows=report.windows,
        recovery_seconds=" ".join(f"{seconds:.1f}" for seconds in recoveries),
        seconds=round(time.monotonic() - started),
    )


def restart(server: KafkaServer, *, in_order: bool, down_seconds: float = 0.0) -> Callable[[Crew], None]:
    """Return a blow: stop or kill a broker, and start it again after a while."""

    def blow(crew: Crew) -> None:
        if in_order:
            server.stop()
        else:
            server.kill()
        crew.supervise(down_seconds)
        server.launch()  # by this thread: a broker dies with the thread that started it
        with ThreadPoolExecutor(1) as pool:
            starting = pool.submit(server.wait_until_ready)
            while not starting.done():
                crew.supervise(0.2)
            starting.result()

    return blow


def silence(server: KafkaServer, seconds: float) -> Callable[[Crew], None]:
    """Return a blow: the broker's process is there, takes connections, and answers nothing."""

    def blow(crew: Crew) -> None:
        server.pause()
        crew.supervise(seconds)
        server.resume()

    return blow


def loss(server: KafkaServer) -> Callable[[Crew], None]:
    """Return a blow: a broker dies and stays away."""

    def blow(_: Crew) -> None:
        server.kill()

    return blow


def test_the_only_broker_dies_and_comes_back(own_kafka: KafkaServer, prefix: str, tmp_path: Path) -> None:
    """Killed under load, then silent for a while."""
    with Installation(own_kafka.bootstrap, prefix, tmp_path) as installation:
        blows = [restart(own_kafka, in_order=False), silence(own_kafka, 8.0)]
        attack(installation, "single broker, short", SEED, blows, 2.0)


def test_one_of_three_brokers_is_lost(three_brokers: KafkaCluster, prefix: str, tmp_path: Path) -> None:
    """The others take over its partitions, groups and transactions."""
    with Installation(three_brokers.bootstrap, prefix, tmp_path, replication=3) as installation:
        lost = random.Random(SEED).choice(three_brokers.nodes)
        attack(installation, "one of three, short", SEED, [loss(lost)], 2.0)


@pytest.mark.long
def test_the_only_broker_again_and_again(own_kafka: KafkaServer, prefix: str, tmp_path: Path) -> None:
    """Stopped and killed in turns, down for up to a minute, and silent for a minute."""
    with Installation(own_kafka.bootstrap, prefix, tmp_path) as installation:
        blows = [
            restart(own_kafka, in_order=True),
            restart(own_kafka, in_order=False),
            restart(own_kafka, in_order=False, down_seconds=20.0),
            restart(own_kafka, in_order=True, down_seconds=60.0),
            silence(own_kafka, 5.0),
            silence(own_kafka, 20.0),
            silence(own_kafka, 60.0),
            restart(own_kafka, in_order=False),
        ]
        attack(installation, "single broker", SEED + 1, blows, 10.0)


@pytest.mark.long
def test_each_of_three_brokers_in_turn(three_brokers: KafkaCluster, prefix: str, tmp_path: Path) -> None:
    """Each dies and comes back, each falls silent for a minute, one is lost for good."""
    with Installation(three_brokers.bootstrap, prefix, tmp_path, replication=3) as installation:
        nodes = three_brokers.nodes
        blows = [restart(node, in_order=False, down_seconds=10.0) for node in nodes]
        blows += [silence(node, 60.0) for node in nodes]
        blows += [restart(node, in_order=True) for node in nodes]
        blows.append(loss(random.Random(SEED).choice(nodes)))
        attack(installation, "each of three", SEED + 2, blows, 10.0)
