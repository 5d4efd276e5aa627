"""Fan-out, counting and the frame log."""

from pathlib import Path

import pytest

from simulator.hub import Hub
from simulator.log import FrameLog
from simulator.wire import websocket_frame
from tests.support.simulated import Outlet, payloads


@pytest.mark.parametrize("size", [0, 125, 126, 65_535, 65_536])
def test_websocket_frame(size: int) -> None:
    payload = b"x" * size
    assert payloads(websocket_frame(payload)) == [payload]


def test_a_frame_goes_to_the_subscribers_of_its_topic_only() -> None:
    hub, one, two = Hub(None), Outlet(1), Outlet(2)
    first, second = hub.stream("linear", "a"), hub.stream("spot", "a")
    for outlet in (one, two):
        hub.join(outlet)
        hub.subscribe(outlet, first, [b"opening"])
    hub.subscribe(two, second, [])
    hub.publish(first, b"1")
    hub.publish(second, b"2")
    hub.reply(one, "ping", b"pong")
    assert not one.payloads, "sent before the flush"
    hub.flush()
    assert one.payloads == [b"opening", b"1", b"pong"]
    assert two.payloads == [b"opening", b"1", b"2"]
    assert (hub.frames, hub.data_frames, first.frames, second.frames) == (6, 5, 4, 1)


def test_a_connection_that_left_gets_nothing() -> None:
    hub, one = Hub(None), Outlet()
    stream = hub.stream("linear", "a")
    hub.join(one)
    hub.subscribe(one, stream, [])
    hub.publish(stream, b"1")
    hub.leave(one)
    hub.publish(stream, b"2")
    hub.flush()
    assert not one.payloads
    assert not stream.subscribers


def test_stale_frames_after_unsubscribe() -> None:
    hub, one = Hub(None), Outlet()
    stream = hub.stream("linear", "a")
    hub.join(one)
    hub.subscribe(one, stream, [])
    hub.unsubscribe(one, stream, stale_frames=2)
    for payload in (b"1", b"2", b"3"):
        hub.publish(stream, payload)
    hub.flush()
    assert one.payloads == [b"1", b"2"]


def test_a_new_subscription_ends_the_stale_frames_of_the_old_one() -> None:
    hub, one = Hub(None), Outlet()
    stream = hub.stream("linear", "a")
    hub.join(one)
    hub.subscribe(one, stream, [])
    hub.unsubscribe(one, stream, stale_frames=1)
    hub.subscribe(one, stream, [b"opening"])
    for payload in (b"1", b"2"):
        hub.publish(stream, payload)
    hub.flush()
    assert one.payloads == [b"opening", b"1", b"2"]


def test_the_log_has_a_line_for_every_frame(tmp_path: Path) -> None:
    log = FrameLog(tmp_path / "sent.log")
    hub, one, two = Hub(log), Outlet(1), Outlet(2)
    stream = hub.stream("linear", "a")
    for outlet in (one, two):
        hub.join(outlet)
        hub.subscribe(outlet, stream, [])
    hub.publish(stream, b'{"n": 1}')
    hub.publish(stream, b'{"n": 2}')
    hub.flush()
    hub.reply(two, "ping", b"pong")
    hub.flush()
    log.close()
    lines = [line.split(b" ", 2) for line in (tmp_path / "sent.log").read_bytes().splitlines()]
    assert [(connection, frame) for _, connection, frame in lines] == [
        (b"1", b'{"n": 1}'),
        (b"1", b'{"n": 2}'),
        (b"2", b'{"n": 1}'),
        (b"2", b'{"n": 2}'),
        (b"2", b"pong"),
    ]
    stamps = [int(stamp) for stamp, _, _ in lines]
    assert stamps == sorted(stamps)
