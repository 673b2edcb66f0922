"""What a scrape and the probes are answered."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from broker_plugin.app.endpoints import start_http
from broker_plugin.config.sections import MetricsConfig
from broker_plugin.errors import ConfigurationError
from broker_plugin.metrics import Metrics, MetricsServer
from broker_plugin.runner.protocols import Observation


def get(server: MetricsServer, path: str, **headers: str) -> tuple[int, str]:
    try:
        with urlopen(Request(f"http://127.0.0.1:{server.port}{path}", headers=headers), timeout=60) as answer:
            return answer.status, answer.read().decode()
    except HTTPError as error:
        with error:
            return error.code, error.read().decode()


@pytest.fixture
def troubles() -> list[str]:
    return []


@pytest.fixture
def server(troubles: list[str]) -> Iterator[MetricsServer]:
    metrics = Metrics(strict=True)
    metrics.observe([Observation("annotations_total", 1, {"class": "ECL"})])
    first = lambda: troubles[0] if troubles else None  # noqa: E731
    server = MetricsServer(metrics, "127.0.0.1", 0, live=first, ready=first)
    yield server
    server.close()


def test_scrape(server: MetricsServer) -> None:
    """Ours, and those of the process."""
    status, page = get(server, "/metrics")
    assert status == 200
    assert 'broker_plugin_annotations_total{class="ECL"} 1.0' in page
    assert "broker_plugin_build_info{" in page
    assert "process_resident_memory_bytes" in page


def test_probes_in_good_and_bad_times(server: MetricsServer, troubles: list[str]) -> None:
    """200, or 503 and the reason in one line."""
    assert get(server, "/livez") == get(server, "/readyz") == (200, "ok\n")
    troubles.append("score: the loop has not turned for 301 s")
    assert get(server, "/livez") == (503, "score: the loop has not turned for 301 s\n")
    assert get(server, "/readyz")[0] == 503


def test_other_paths(server: MetricsServer) -> None:
    """The three that there are."""
    assert get(server, "/other") == (404, "/metrics, /livez, /readyz\n")


def test_silent_client_holds_up_nobody(server: MetricsServer) -> None:
    """Connections that say nothing, and one that leaves in the middle of its request."""
    silent = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(20)]
    rude = socket.create_connection(("127.0.0.1", server.port))
    rude.sendall(b"GET /metr")
    rude.close()
    assert get(server, "/livez")[0] == 200
    for connection in silent:
        connection.close()


def test_scrapes_at_the_same_time(server: MetricsServer) -> None:
    """Each gets a whole page."""
    pages: list[str] = []
    threads = [threading.Thread(target=lambda: pages.append(get(server, "/metrics")[1])) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(pages) == 8
    assert all("broker_plugin_build_info{" in page and page.endswith("\n") for page in pages)


def test_who_is_not_admitted() -> None:
    """401 with the way in, before anything is looked at."""
    server = MetricsServer(
        Metrics(), "127.0.0.1", 0, admits=lambda path, token: path == "/livez" or token == "Bearer right"
    )
    try:
        assert get(server, "/metrics")[0] == 401
        assert get(server, "/metrics", Authorization="Bearer wrong")[0] == 401
        assert get(server, "/metrics", Authorization="Bearer right")[0] == 200
        assert get(server, "/livez")[0] == 200
    finally:
        server.close()


def test_port_in_use(server: MetricsServer) -> None:
    """The address and the cure are named."""
    with pytest.raises(ConfigurationError, match=rf"127\.0\.0\.1:{server.port}.*metrics\.port"):
        MetricsServer(Metrics(), "127.0.0.1", server.port)


def test_loopback_unless_told_otherwise() -> None:
    """Nobody else on the network reaches it by default; switched off, there is none."""
    server = start_http(MetricsConfig(port=0), Metrics())
    assert server is not None
    try:
        assert server.address == "127.0.0.1"
    finally:
        server.close()
    assert start_http(MetricsConfig(enabled=False), Metrics()) is None


def test_ipv6() -> None:
    """An address with colons."""
    try:
        server = MetricsServer(Metrics(), "::1", 0)
    except ConfigurationError:
        pytest.skip("this machine has no IPv6: needed is the address ::1")
    try:
        with urlopen(f"http://[::1]:{server.port}/livez", timeout=60) as answer:
            assert answer.status == 200
    finally:
        server.close()
