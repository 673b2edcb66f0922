"""Who is answered: this page in this browser, and nobody else."""

from __future__ import annotations

import pytest

from broker_plugin.board.security import LOOPBACK, refusal


@pytest.mark.parametrize("host", ["127.0.0.1:8765", "localhost:8765", "LOCALHOST", "[::1]:8765", "127.0.0.1"])
def test_our_own_names_are_answered(host) -> None:
    """With a port and without."""
    assert refusal("GET", {"host": host}, LOOPBACK) == ""


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example:80", "", "[::1", "169.254.169.254"])
def test_foreign_names_are_refused(host) -> None:
    """DNS rebinding: a foreign name resolves to 127.0.0.1, and the browser thinks the page is that site's."""
    assert "--allow-host" in refusal("GET", {"host": host}, LOOPBACK)


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "same-origin", "origin": "http://127.0.0.1:8765"},
        {"sec-fetch-site": "same-origin"},
        {"origin": "http://127.0.0.1:8765"},
    ],
)
def test_labels_from_the_page_are_taken(headers) -> None:
    """Browsers that send both, or one of them."""
    assert refusal("POST", {"host": "127.0.0.1:8765", **headers}, LOOPBACK) == ""


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site", "origin": "https://evil.example"},
        {"sec-fetch-site": "same-site", "origin": "http://localhost:9999"},
        {"sec-fetch-site": "none"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:9999"},
        {"origin": "http://127.0.0.1:8765.evil.example"},
        {},
    ],
)
def test_labels_from_elsewhere_are_refused(headers) -> None:
    """A form on another site, another port, a sandboxed frame, a script without any origin."""
    reason = refusal("POST", {"host": "127.0.0.1:8765", **headers}, LOOPBACK)

    assert reason.startswith("labels are taken from this page only")
    assert refusal("GET", {"host": "127.0.0.1:8765", **headers}, LOOPBACK) == ""
