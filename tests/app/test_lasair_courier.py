"""Annotations over real HTTP, against the rules of Lasair's server, beside Lasair's own client."""

from __future__ import annotations

import json
from collections.abc import Iterator

import lasair
import pytest

from broker_plugin.app.forward import Attempt
from broker_plugin.app.lasair_courier import LasairCourier
from broker_plugin.outputs import LasairFormat
from broker_plugin.outputs.lasair import rest_form
from broker_plugin.runner.protocols import Message
from tests.app.lasair_server import ANNOTATOR, TOKEN, LasairServer
from tests.filters.examples import annotation

FORMAT = LasairFormat(ANNOTATOR, "https://example.org/{object_id}")
OBJECT = 2**63 - 1


@pytest.fixture
def server() -> Iterator[LasairServer]:
    with LasairServer() as server:
        yield server


def message(object_id: int, i: int = 0, **changes: object) -> Message:
    value = json.dumps(FORMAT.annotation(annotation(object_id=str(object_id), survey="lsst", **changes)))
    return Message("anno_variables_r", 0, i, b"k", value.encode())


def courier(server: LasairServer, batch: int = 100, token: str = TOKEN) -> LasairCourier:
    """Return one that never has to wait: two answers of this server may lie less than a millisecond apart."""
    return LasairCourier(server.endpoint, token, calls_per_hour=3.6e9, batch=batch, timeout_seconds=20)


@pytest.mark.parametrize("batch", [1, 100])
def test_the_same_arrives_as_from_their_own_client(server, batch) -> None:
    """annotate() and annotate_list() of the lasair package store exactly what ours stores."""
    ours = FORMAT.annotation(annotation(object_id=str(OBJECT), survey="lsst"))
    assert courier(server, batch).deliver([message(OBJECT)]).done == 1
    by_us = server.stored.pop(OBJECT)

    client = lasair.lasair_client(TOKEN, endpoint=server.endpoint)
    if batch == 1:
        client.annotate(
            ours["topic"],
            ours["objectId"],
            ours["classification"],
            version=ours["version"],
            explanation=ours["explanation"],
            classdict=ours["classdict"],
            url=ours["url"],
        )
    else:
        client.annotate_list([ours])
    assert server.stored.pop(OBJECT) == by_us == rest_form(ours)
    assert [path for path, _ in server.calls] == 2 * [f"/api/annotate{'' if batch == 1 else 'list'}/"]


def test_a_repetition_changes_nothing(server) -> None:
    """One annotation an object and annotator: at least once is as good as once."""
    sender = courier(server)
    for _ in range(2):
        assert sender.deliver([message(1), message(2)]).done == 2
    assert len(server.stored) == 2


def test_one_bad_record_is_found_by_halves(server) -> None:
    """Only it is refused, with what the server said; the others are all there, in a few calls."""
    bad = Message(
        "t", 0, 5, b"k", json.dumps(FORMAT.annotation(annotation()) | {"objectId": "ZTF18abcdefg"}).encode()
    )
    waiting = [message(i, i) for i in range(16)]
    waiting[5] = bad
    sender, refused = courier(server), []
    while waiting:
        attempt = sender.deliver(waiting)
        refused += [waiting[i] for i, _ in attempt.refused]
        if attempt.refused:
            assert "A valid integer is required" in attempt.refused[0][1]
        waiting = waiting[attempt.done :]
        sender._next_call = 0.0
    assert refused == [bad]
    assert sorted(server.stored) == [i for i in range(16) if i != 5]
    assert len(server.calls) == 7  # 16, 8, 4 of them good, 2, 1 good, 1 bad, the other 10


@pytest.mark.parametrize(
    ("status", "headers", "body", "trouble", "seconds"),
    [
        (429, {"Retry-After": "1234"}, {"detail": "throttled"}, "throttled", 1234.0),
        (429, {}, {"detail": "throttled"}, "throttled", 300.0),
        (401, {}, {"detail": "Invalid token."}, "blocked", 300.0),
        (404, {}, b"<html>", "blocked", 300.0),
        (302, {"Location": "http://127.0.0.1:9/"}, b"", "blocked", 300.0),
        (400, {}, {"error": "Annotator error: topic x is not active"}, "blocked", 300.0),
        (400, {}, {"error": "Kafka production failed"}, "server_error", None),
        (500, {}, b"oops", "server_error", None),
        (200, {}, b"<html>a portal</html>", "server_error", None),
    ],
)
def test_what_an_answer_means(server, status, headers, body, trouble, seconds) -> None:
    """Wait as long as the server says, or until a person has mended it; the record stays, then goes."""
    server.answers.append((status, headers, body))
    sender = courier(server)
    attempt = sender.deliver([message(1)])
    assert (attempt.done, attempt.trouble, attempt.retry_after_seconds) == (0, trouble, seconds)
    assert str(status) in attempt.detail
    assert TOKEN not in attempt.detail
    sender._next_call = 0.0
    assert sender.deliver([message(1)]).done == 1


def test_wrong_token_and_inactive_annotator(server) -> None:
    """By the server's own rules."""
    assert courier(server, token="wrong").deliver([message(1)]).trouble == "blocked"
    server.active = False
    assert "not active" in courier(server).deliver([message(1)]).detail
    assert server.stored == {}


def test_nobody_answers() -> None:
    """A port that is closed."""
    sender = LasairCourier("http://127.0.0.1:9/api", TOKEN, calls_per_hour=3.6e6, timeout_seconds=5)
    assert sender.deliver([message(1)]).trouble == "unreachable"


def test_calls_keep_their_distance(server) -> None:
    """A hundred an hour: the next one after 36 s, whatever waits."""
    now = [0.0]
    sender = LasairCourier(server.endpoint, TOKEN, calls_per_hour=100, monotonic=lambda: now[0])
    assert sender.deliver([message(1)]) == Attempt(1, retry_after_seconds=36.0)
    assert sender.deliver([message(2)]) == Attempt(0, retry_after_seconds=36.0)
    now[0] = 36.0
    assert sender.deliver([message(2)]).done == 1
    assert len(server.calls) == 2


def test_record_that_is_no_annotation_is_refused_alone(server) -> None:
    """Somebody wrote to the topic; those before it go first."""
    sender = courier(server)
    damaged = Message("t", 0, 1, b"k", b"{}")
    assert sender.deliver([message(1), damaged, message(2)]).done == 1
    sender._next_call = 0.0
    attempt = sender.deliver([damaged, message(2)])
    assert attempt.done == 1
    assert "KeyError" in attempt.refused[0][1]
