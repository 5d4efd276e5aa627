"""What the picows end does with frames: order, the journal first, fragments, and no exception out."""

from pathlib import Path
from typing import Any

import pytest
from picows import WSFrame, WSMsgType
from picows.picows import _make_test_ws_frame

from engine.clock import mono_ns, wall_ns
from ext.book import OrderBook
from ext.dispatch import Dispatcher
from ext.frames import FrameListener
from ext.journal import Journal
from ext.listener import Event, Gap, Listener
from tests.support.spools import Segments
from tests.support.venue import delta, snapshot

BOOK = "orderbook.50.BTCUSDT"


class Owner:
    def __init__(self) -> None:
        self.faults: list[Exception] = []
        self.broken: list[str] = []

    def on_connected(self, transport: Any) -> None: ...

    def on_disconnected(self, transport: Any) -> None: ...

    def on_fault(self, error: Exception) -> None:
        self.faults.append(error)

    def on_broken(self, cause: str, detail: str) -> None:
        self.broken.append(cause)


class Log(Listener):
    def __init__(self) -> None:
        self.update_ids: list[int] = []
        self.positions: list[int] = []
        self.recv_ns: list[int] = []
        self.events: list[str] = []
        self.gaps: list[Gap] = []

    def on_book(self, book: OrderBook) -> None:
        self.update_ids.append(book.update_id)
        self.positions.append(book.position)
        self.recv_ns.append(book.recv_ns)

    def on_event(self, event: Event) -> None:
        self.events.append(event.kind)

    def on_gap(self, gap: Gap) -> None:
        self.gaps.append(gap)


class Wire:
    """A FrameListener fed by hand; `PING` and `CLOSE` need a transport and are tested over a socket."""

    def __init__(
        self, listener: Listener, *, journal: Journal | None = None, message_bytes_max: int = 10_000
    ) -> None:
        self.owner = Owner()
        self.dispatcher = Dispatcher("linear", listener)
        self.frames = FrameListener(
            self.dispatcher,
            self.owner,
            leg=0,
            connection=3,
            journal=journal,
            message_bytes_max=message_bytes_max,
        )

    def receive(self, payload: str | bytes, kind: WSMsgType = WSMsgType.TEXT, *, fin: bool = True) -> None:
        data = payload.encode() if isinstance(payload, str) else payload
        frame: WSFrame = _make_test_ws_frame(kind, data, fin, False)
        self.frames.on_ws_frame(None, frame)


def test_messages_are_dispatched_in_order_and_stamped() -> None:
    log = Log()
    wire = Wire(log)
    before_ns = wall_ns()
    wire.receive(snapshot(BOOK, 1))
    for update_id in range(2, 50):
        wire.receive(delta(BOOK, update_id, str(update_id)))
    assert log.update_ids == list(range(1, 50))
    assert log.recv_ns == sorted(log.recv_ns)
    assert before_ns <= log.recv_ns[0] <= log.recv_ns[-1] == wire.frames.last_recv_ns <= wall_ns()
    assert wire.frames.last_mono_ns <= mono_ns()
    assert wire.frames.frames == 49
    assert wire.frames.bytes == len(snapshot(BOOK, 1)) + sum(
        len(delta(BOOK, n, str(n))) for n in range(2, 50)
    )


def test_a_frame_is_in_the_file_before_its_callback(tmp_path: Path) -> None:
    segments = Segments(tmp_path)

    class Witness(Log):
        def on_book(self, book: OrderBook) -> None:
            super().on_book(book)
            assert f'"u": {book.update_id}'.encode() in segments.path(1).read_bytes()

    log = Witness()
    wire = Wire(log, journal=Journal(segments, wall_ns(), mono_ns()))
    wire.receive(snapshot(BOOK, 1))
    wire.receive(delta(BOOK, 2))
    segments.close()
    assert log.update_ids == [1, 2]
    assert wire.dispatcher.counters["callback_failures"] == 0
    # The segment's own first record has position 1.
    assert log.positions == [(1 << 32) + 2, (1 << 32) + 3]


def test_a_frame_that_no_segment_takes_is_dispatched_all_the_same(tmp_path: Path) -> None:
    segments = Segments(tmp_path, room=1)
    log = Log()
    wire = Wire(log, journal=Journal(segments, wall_ns(), mono_ns()))
    wire.receive(snapshot(BOOK, 1))
    for update_id in range(2, 500):
        wire.receive(delta(BOOK, update_id))
    segments.close()
    assert log.update_ids == list(range(1, 500))
    assert max(log.positions) > 1 << 32
    assert log.positions[-1] < 1 << 32


def test_fragments_are_put_together_whatever_their_size() -> None:
    for size in (1, 7, 100):
        log = Log()
        wire = Wire(log)
        message = snapshot(BOOK, 7)
        parts = [message[at : at + size] for at in range(0, len(message), size)]
        wire.receive(parts[0], fin=False)
        for part in parts[1:-1]:
            wire.receive(part, WSMsgType.CONTINUATION, fin=False)
        assert log.update_ids == []
        wire.receive(parts[-1], WSMsgType.CONTINUATION)
        wire.receive(delta(BOOK, 8))
        assert log.update_ids == [7, 8]


def test_control_frames_between_fragments_do_not_matter() -> None:
    log = Log()
    wire = Wire(log)
    message = snapshot(BOOK, 7)
    wire.receive(message[:50], fin=False)
    wire.receive(b"", WSMsgType.PONG)
    wire.receive(message[50:], WSMsgType.CONTINUATION)
    assert log.update_ids == [7]


def test_a_message_over_the_limit_breaks_the_connection_off_and_is_let_go() -> None:
    wire = Wire(Log(), message_bytes_max=100)
    wire.receive("x" * 60, fin=False)
    wire.receive("x" * 60, WSMsgType.CONTINUATION, fin=False)
    assert wire.owner.broken == ["message_too_big"]


@pytest.mark.parametrize(
    "frames",
    [[("x", WSMsgType.CONTINUATION, True)], [("x", WSMsgType.TEXT, False), ("{}", WSMsgType.TEXT, True)]],
)
def test_fragments_against_the_protocol_break_the_connection_off(
    frames: list[tuple[str, WSMsgType, bool]],
) -> None:
    wire = Wire(Log())
    for payload, kind, fin in frames:
        wire.receive(payload, kind, fin=fin)
    assert wire.owner.broken == ["protocol"]


@pytest.mark.parametrize(
    "payload",
    [b"", b"{", b"\xff\xfe", snapshot(BOOK, 5).encode().replace(b"BTCUSDT", b"BTC\xffSDT"), b"null", b"[1]"],
)
@pytest.mark.parametrize("kind", [WSMsgType.TEXT, WSMsgType.BINARY])
def test_bad_bytes_are_counted_and_harm_no_other_frame(payload: bytes, kind: WSMsgType) -> None:
    log = Log()
    wire = Wire(log)
    wire.receive(snapshot(BOOK, 1))
    wire.receive(payload, kind)
    wire.receive(delta(BOOK, 2))
    assert log.update_ids == [1, 2]
    assert wire.owner.faults == []
    counters = wire.dispatcher.counters
    assert counters["malformed"] + counters["control_messages"] == 1
    assert counters["malformed"] == log.events.count("malformed")


def test_a_callback_that_raises_is_no_fault_of_the_wire() -> None:
    class Raising(Listener):
        def on_book(self, book: OrderBook) -> None:
            raise ZeroDivisionError

    wire = Wire(Raising())
    wire.receive(snapshot(BOOK, 1))
    wire.receive(delta(BOOK, 2))
    assert wire.owner.faults == []
    assert wire.dispatcher.counters["callback_failures"] == 2


def test_an_exception_inside_reaches_the_owner_and_not_picows() -> None:
    class Reentrant(Log):
        def __init__(self) -> None:
            super().__init__()
            self.wire: Wire

        def on_book(self, book: OrderBook) -> None:
            super().on_book(book)
            if len(self.update_ids) == 1:
                self.wire.receive(delta(BOOK, 2))

    log = Reentrant()
    log.wire = Wire(log)
    log.wire.receive(snapshot(BOOK, 1))
    assert [type(fault) for fault in log.wire.owner.faults] == [RuntimeError]
    assert log.wire.frames.faults == 1
    log.wire.receive(delta(BOOK, 2))
    assert log.update_ids == [1, 2]


def test_a_connection_number_that_does_not_fit_a_record_is_refused() -> None:
    with pytest.raises(ValueError, match="connection was 65536"):
        FrameListener(Dispatcher("linear", Log()), Owner(), connection=65536)
