"""Playback of capture files: every data frame, byte for byte, when it is due."""

from pathlib import Path

import orjson
import pytest

from simulator.errors import SimulatorError
from simulator.hub import Hub
from simulator.instrument_info import info as instrument_info
from simulator.playback import Capture, Playback, derive_instruments, read_capture
from simulator.source import IDLE
from simulator.switches import Switches
from tests.support.captures import capture
from tests.support.simulated import START_NS, Outlet, play

BOOK = (
    '{"topic":"orderbook.50.XUSDT",  "type":"%s","ts":%d,"data":'
    '{"s":"XUSDT","b":[%s],"a":[%s],"u":%d,"seq":9},"cts":1}'
)
SNAPSHOT = BOOK % ("snapshot", 1_000, '["77.300","1.5"]', '["77.310","2.0"],["77.330","0.5"]', 7)
DELTA = BOOK % ("delta", 1_250, '["77.300","0"],["77.290","1.0"]', "", 8)
TRADE = (
    '{"topic":"publicTrade.XUSDT","type":"snapshot","ts":2000,"data":[{"T":1,"s":"XUSDT","S":"Buy","v":"0.5",'
    '"p":"77.310","i":"t1","BT":false,"RPI":false,"seq":9}]}'
)
ACK = '{"success":true,"ret_msg":"","conn_id":"c","req_id":"","op":"subscribe"}'
BOOK_TOPIC, TRADE_TOPIC = "orderbook.50.XUSDT", "publicTrade.XUSDT"
MS = 1_000_000


class Player:
    """A capture, one connection, and a clock."""

    def __init__(self, found: Capture, speed: float | None, start: str = "all") -> None:
        self.hub, self.outlet = Hub(None), Outlet()
        self.source = Playback(found, "linear", self.hub, Switches(playback_start=start), speed)
        self.hub.join(self.outlet)

    def subscribe(self, *topics: str) -> None:
        for topic in topics:
            assert self.source.knows("linear", topic)
            stream = self.hub.stream("linear", topic)
            self.hub.subscribe(self.outlet, stream, self.source.opening("linear", topic))

    def play(self) -> None:
        play(self.source, self.hub, START_NS)


@pytest.fixture
def stamped(tmp_path: Path) -> Capture:
    path = tmp_path / "capture.log"
    path.write_text(f"100000000 {SNAPSHOT}\n100000100 {ACK}\n350000000 {DELTA}\r\n\n1100000000 {TRADE}\n")
    return read_capture(path)


def test_lines_with_and_without_a_stamp(stamped: Capture, tmp_path: Path) -> None:
    assert [frame.payload.decode() for frame in stamped.frames] == [SNAPSHOT, DELTA, TRADE]
    assert [frame.at_ns for frame in stamped.frames] == [100 * MS, 350 * MS, 1_100 * MS]
    assert stamped.control_frames == 1
    plain = tmp_path / "plain.jsonl"
    plain.write_text(f"{SNAPSHOT}\n{DELTA}\n{TRADE}")
    assert [frame.at_ns for frame in read_capture(plain).frames] == [1_000 * MS, 1_250 * MS, 2_000 * MS]


@pytest.mark.parametrize("line", ["hello", "12 34", "x {}", '12 "text"'])
def test_a_bad_line_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "capture.log"
    path.write_text(f"{SNAPSHOT}\n{line}\n")
    with pytest.raises(SimulatorError, match="line 2"):
        read_capture(path)


def test_a_file_without_data_or_without_existence_is_refused(tmp_path: Path) -> None:
    (tmp_path / "acks").write_text(ACK)
    with pytest.raises(SimulatorError, match="no data frame"):
        read_capture(tmp_path / "acks")
    with pytest.raises(SimulatorError, match="no such file"):
        read_capture(tmp_path / "absent")


def test_waits_until_all_topics_are_subscribed(stamped: Capture) -> None:
    player = Player(stamped, None)
    player.subscribe(BOOK_TOPIC)
    assert player.source.play(START_NS) == IDLE
    player.subscribe(TRADE_TOPIC)
    player.play()
    assert [payload.decode() for payload in player.outlet.payloads] == [SNAPSHOT, DELTA, TRADE]


def test_may_start_at_the_first_subscription_and_counts_what_nobody_gets(stamped: Capture) -> None:
    player = Player(stamped, None, start="first")
    player.subscribe(TRADE_TOPIC)
    player.play()
    assert [payload.decode() for payload in player.outlet.payloads] == [TRADE]
    assert player.source.counters()["playback_skipped"] == 2
    window, _ = player.source.book("linear", "XUSDT", 50) or pytest.fail("no book")
    assert not window.bids, "a frame that was not sent changed the book"


@pytest.mark.parametrize(
    ("speed", "times_ms"), [(1.0, (0, 250, 1_000)), (4.0, (0, 62.5, 250)), (0.5, (0, 500, 2_000))]
)
def test_pace(stamped: Capture, speed: float, times_ms: tuple[float, ...]) -> None:
    player = Player(stamped, speed)
    player.subscribe(BOOK_TOPIC, TRADE_TOPIC)
    player.source.play(START_NS)
    for count, time_ms in enumerate(times_ms[1:], start=1):
        due_ns = START_NS + int(time_ms * MS)
        wait_s = player.source.play(due_ns - 1)
        player.hub.flush()
        assert wait_s is not None
        assert wait_s > 0
        assert len(player.outlet.payloads) == count
        player.source.play(due_ns)
        player.hub.flush()
        assert len(player.outlet.payloads) == count + 1
    assert player.source.play(START_NS + 10**12) is None


def test_only_topics_of_the_file_are_known(stamped: Capture) -> None:
    source = Player(stamped, None).source
    assert not source.knows("linear", "orderbook.200.XUSDT")
    assert not source.knows("spot", BOOK_TOPIC)


def test_rest_state_follows_what_was_sent(stamped: Capture) -> None:
    player = Player(stamped, 1.0)
    player.subscribe(BOOK_TOPIC, TRADE_TOPIC)
    player.source.play(START_NS)
    window, numbers = player.source.book("linear", "XUSDT", 50) or pytest.fail("no book")
    assert (window.bids, numbers["u"]) == ({"77.300": "1.5"}, 7)
    player.source.play(START_NS + 10**12)
    window, numbers = player.source.book("linear", "XUSDT", 1000) or pytest.fail("no book")
    assert (window.bids, numbers["u"]) == ({"77.290": "1.0"}, 8)
    assert list(window.asks) == ["77.310", "77.330"]
    assert [trade["execId"] for trade in player.source.trades("linear", "XUSDT")] == ["t1"]


def test_instruments_have_the_grid_of_the_file(stamped: Capture) -> None:
    (one,) = derive_instruments(stamped, "linear")
    info = instrument_info(one)
    assert info["priceFilter"]["tickSize"] == "0.010"
    assert info["lotSizeFilter"]["qtyStep"] == "0.5"
    assert info["priceScale"] == "3"


def test_a_real_capture_is_played_byte_for_byte_and_ends_in_the_known_books() -> None:
    path = capture("bybit_linear_sol_doge.recv_ns.log")
    player = Player(read_capture(path), None)
    player.subscribe(*player.source._streams)
    player.play()
    lines = [line.split(b" ", 1)[1] for line in path.read_bytes().splitlines()]
    assert player.outlet.payloads == [line for line in lines if b'"topic"' in line]
    for symbol in ("SOLUSDT", "DOGEUSDT"):
        window, numbers = player.source.book("linear", symbol, 200) or pytest.fail("no book")
        text = "".join(f"B {price} {size}\n" for price, size in window.bids.items())
        text += "".join(f"A {price} {size}\n" for price, size in window.asks.items())
        assert text == capture(f"linear.orderbook.200.{symbol}.final_book.txt").read_text()
        last = orjson.loads(
            capture(f"linear.orderbook.200.{symbol}.expected.jsonl").read_text().splitlines()[-1]
        )
        assert numbers["u"] == last["u"]
    grids = {one.symbol: instrument_info(one) for one in player.source.instruments("linear")}
    assert grids["SOLUSDT"]["priceFilter"]["tickSize"] == "0.010"
    assert grids["DOGEUSDT"]["lotSizeFilter"]["qtyStep"] == "1"
