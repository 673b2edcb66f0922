"""A real Apache Kafka for the tests: one KRaft node from Maven Central's jars or Docker, or somebody else's.

Outside of pytest::

    with KafkaServer(kafka_jars(), Path("/tmp/kafka-a")) as server:
        print(server.bootstrap)
    with KafkaCluster(kafka_jars(), Path("/tmp/kafka-b")) as cluster:  # three nodes
        cluster.nodes[0].kill()
"""

from __future__ import annotations

import base64
import ctypes
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Self

KAFKA_VERSION = "4.1.0"
DEPENDENCY_PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1"
POM = Path(__file__).parent / "kafka" / "pom.xml"
HOW_TO_PROVIDE = (
    "no Kafka for the tests: set BROKER_PLUGIN_TEST_BOOTSTRAP=host:port of a throw-away broker, or install "
    "Java 17+ and Maven (apt-get install openjdk-17-jre-headless maven), or Docker"
)
_START_SECONDS = 180.0  # a busy machine; whoever dies at once is noticed at once
_STOP_SECONDS = 20.0


class KafkaNotFoundError(RuntimeError):
    """There is no way to get at a Kafka on this machine."""


@contextmanager
def provided_kafka() -> Iterator[str]:
    """Yield the address of a Kafka: the environment's, else one of Java and Maven, else one of Docker."""
    address = os.environ.get("BROKER_PLUGIN_TEST_BOOTSTRAP")
    if address:
        yield address
    elif java_version() >= 17 and shutil.which("mvn"):
        with (
            tempfile.TemporaryDirectory(prefix="kafka-test-") as folder,
            KafkaServer(kafka_jars(), Path(folder)) as it,
        ):
            yield it.bootstrap
    elif shutil.which("docker") and _run_quietly(["docker", "info"]):
        with _docker_kafka() as address:
            yield address
    else:
        raise KafkaNotFoundError(HOW_TO_PROVIDE)


def java_version() -> int:
    """Return the major version of the Java on the path, 0 without one."""
    if not shutil.which("java"):
        return 0
    text = subprocess.run(["java", "-version"], capture_output=True, text=True, check=False).stderr
    found = re.search(r'version "(\d+)', text)
    return int(found.group(1)) if found else 0


def kafka_jars() -> Path:
    """Return the folder of Kafka's jars, downloading them once into the user's cache."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "broker-plugin"
    libs = cache / f"kafka-{KAFKA_VERSION}"
    if (libs / f"kafka_2.13-{KAFKA_VERSION}.jar").exists():
        return libs
    cache.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(dir=cache, prefix=f"kafka-{KAFKA_VERSION}."))
    command = ["mvn", "-q", "-B", "-f", str(POM), f"{DEPENDENCY_PLUGIN}:copy-dependencies"]
    command += [f"-DoutputDirectory={partial}", "-DincludeScope=runtime"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        shutil.rmtree(partial)
        raise KafkaNotFoundError(f"{HOW_TO_PROVIDE}; Maven is there but failed: {done.stdout[-2000:]}")
    try:
        partial.rename(libs)  # complete or not there at all, however many test runs start at once
    except OSError:
        shutil.rmtree(partial)
    return libs


class KafkaServer:
    """One combined broker and controller, on its own data, that can be stopped, killed and started again.

    Parameters
    ----------
    libs : Path
        Kafka's jars.
    folder : Path
        Data, settings and log of this node; two servers need two folders.
    overrides : mapping of str to str
        Settings by Kafka's names.
    ports : (int, int), optional
        Of the broker and of its controller; free ones by default.
    cluster_id : str, optional
        What fresh data are formatted with; a new one by default.
    """

    def __init__(
        self,
        libs: Path,
        folder: Path,
        overrides: Mapping[str, str] | None = None,
        *,
        ports: tuple[int, int] | None = None,
        cluster_id: str | None = None,
    ) -> None:
        self._libs = libs
        self._folder = folder
        self._cluster_id = cluster_id or _new_cluster_id()
        port, controller_port = ports or _free_ports(2)
        self.bootstrap = f"127.0.0.1:{port}"
        self._process: subprocess.Popen[bytes] | None = None
        self._properties = {**_properties(folder, port, controller_port), **(overrides or {})}

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start on the data that is there, or on fresh data, and wait until it answers."""
        self.launch()
        self.wait_until_ready()

    def launch(self) -> None:
        """Start without waiting: alone, a node of a cluster never answers."""
        self._folder.mkdir(parents=True, exist_ok=True)
        settings = self._folder / "server.properties"
        settings.write_text("".join(f"{name}={value}\n" for name, value in self._properties.items()))
        if not (self._folder / "data" / "meta.properties").exists():
            subprocess.run(
                self._java("kafka.tools.StorageTool", "format", "-t", self._cluster_id, "-c", str(settings)),
                capture_output=True,
                check=True,
            )
        with (self._folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                self._java("kafka.Kafka", str(settings)),
                stdout=log,
                stderr=subprocess.STDOUT,
                preexec_fn=_die_with_parent,  # noqa: PLW1509  one system call, no lock, no import
            )

    def wait_until_ready(self) -> None:
        """Wait until it answers; raises RuntimeError, with the end of its log, when it does not."""
        deadline = time.monotonic() + _START_SECONDS
        try:
            while not _answers(self.bootstrap):
                assert self._process is not None
                if self._process.poll() is not None or time.monotonic() > deadline:
                    log = (self._folder / "server.log").read_text(errors="replace")[-3000:]
                    raise RuntimeError(f"Kafka at {self.bootstrap} did not start:\n{log}")
                time.sleep(0.2)
        except BaseException:
            self.kill()
            raise

    def stop(self) -> None:
        """End it in order; killed if that takes too long."""
        if self._process is None:
            return
        self.resume()  # a stopped process would not hear of its end
        self._process.terminate()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def kill(self) -> None:
        """SIGKILL, as a machine that loses power, except for the disk."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process = None

    @property
    def pid(self) -> int:
        """Return the id of its process."""
        assert self._process is not None
        return self._process.pid

    def pause(self) -> None:
        """SIGSTOP: it is there and says nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def _java(self, *arguments: str) -> list[str]:
        flags = ["-Xmx512m", "-Xms128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
        return ["java", *flags, "-cp", f"{self._libs}/*", *arguments]


class KafkaCluster:
    """Three combined brokers and controllers on this machine; internal topics on all of them, two must agree.

    Parameters
    ----------
    libs : Path
        Kafka's jars.
    folder : Path
        Each node takes a folder in it.
    overrides : mapping of str to str
        Settings by Kafka's names, for every node.
    """

    def __init__(self, libs: Path, folder: Path, overrides: Mapping[str, str] | None = None) -> None:
        ports = _free_ports(6)
        cluster_id = _new_cluster_id()
        voters = ",".join(f"{n}@127.0.0.1:{ports[2 * n - 1]}" for n in (1, 2, 3))
        shared = {"controller.quorum.voters": voters, **_REPLICATED, **(overrides or {})}
        self.nodes = [
            KafkaServer(
                libs,
                folder / f"node-{n}",
                {**shared, "node.id": str(n)},
                ports=(ports[2 * n - 2], ports[2 * n - 1]),
                cluster_id=cluster_id,
            )
            for n in (1, 2, 3)
        ]
        self.bootstrap = ",".join(node.bootstrap for node in self.nodes)

    def __enter__(self) -> Self:
        try:
            for node in self.nodes:
                node.launch()
            for node in self.nodes:
                node.wait_until_ready()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        # The last ones could not end in order, without a majority to tell; the data are thrown away.
        for node in self.nodes:
            node.kill()


def _properties(folder: Path, port: int, controller_port: int) -> dict[str, str]:
    return {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": f"1@127.0.0.1:{controller_port}",
        "controller.listener.names": "CONTROLLER",
        "listeners": f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{port}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "log.dirs": str(folder / "data"),
        "auto.create.topics.enable": "false",
        "num.partitions": "1",
        **_SMALL_AND_QUICK,
    }


_SMALL_AND_QUICK = {
    "offsets.topic.num.partitions": "3",
    "offsets.topic.replication.factor": "1",
    "transaction.state.log.num.partitions": "3",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "share.coordinator.state.topic.num.partitions": "1",
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": "500",
    "log.cleaner.dedupe.buffer.size": "8388608",
    "log.cleaner.threads": "1",
}


_REPLICATED = {
    "default.replication.factor": "3",
    "min.insync.replicas": "2",
    "offsets.topic.replication.factor": "3",
    "transaction.state.log.replication.factor": "3",
    "transaction.state.log.min.isr": "2",
    "broker.heartbeat.interval.ms": "500",
    "broker.session.timeout.ms": "3000",  # until the others take over from a dead node
}


def _new_cluster_id() -> str:
    # Kafka's own notation of an id; a leading dash would be taken for an option of the formatter.
    return "A" + base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")[1:]


@contextmanager
def _docker_kafka() -> Iterator[str]:
    (port,) = _free_ports(1)
    settings = _properties(Path("/tmp/kraft-data"), 9092, 9093) | {
        "listeners": "PLAINTEXT://0.0.0.0:9092,CONTROLLER://127.0.0.1:9093",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{port}",
    }
    command = ["docker", "run", "--rm", "-d", "-p", f"127.0.0.1:{port}:9092"]
    for name, value in settings.items():
        command += ["-e", f"KAFKA_{name.replace('.', '_').upper()}={value}"]
    started = subprocess.run(
        [*command, f"apache/kafka:{KAFKA_VERSION}"], capture_output=True, text=True, check=False
    )
    if started.returncode != 0:
        raise KafkaNotFoundError(f"{HOW_TO_PROVIDE}; Docker is there but failed: {started.stderr[-2000:]}")
    container = started.stdout.strip()
    try:
        deadline = time.monotonic() + _START_SECONDS
        while not _answers(f"127.0.0.1:{port}"):
            if time.monotonic() > deadline:
                raise KafkaNotFoundError(f"Kafka in container {container} does not answer on port {port}")
            time.sleep(0.5)
        yield f"127.0.0.1:{port}"
    finally:
        _run_quietly(["docker", "kill", container])


def _answers(bootstrap: str) -> bool:
    host, port = bootstrap.rsplit(":", 1)
    try:
        socket.create_connection((host, int(port)), timeout=1).close()
    except OSError:
        return False
    # The port opens before the broker has caught up with the controller; a metadata answer means that it has.
    from broker_plugin.errors import BrokerUnreachableError
    from broker_plugin.runner.kafka import KafkaBus, KafkaSettings

    try:
        KafkaBus(KafkaSettings(bootstrap, connect_timeout_seconds=10.0)).cluster_id()
    except BrokerUnreachableError:
        return False
    return True


_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


def _die_with_parent() -> None:
    """Have the kernel kill this child when a killed test run cannot: PR_SET_PDEATHSIG, Linux only.

    The parent, to the kernel, is the thread that started it: that thread must outlive the use of the broker.
    """
    if _LIBC is not None:
        _LIBC.prctl(1, signal.SIGKILL)


def _run_quietly(command: list[str]) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()
