"""A feed that asks the REST interface of the simulator: audits, full books, what a gap left; its replay."""

from decimal import Decimal
from pathlib import Path

import engine
from engine.clock import mono_ns, wall_ns
from ext.journal import Journal
from ext.listener import Trade
from tests.support.loops import run
from tests.support.simulator_process import simulated
from tests.support.spools import Segments
from tests.support.watch import Watch

TRADES = "publicTrade.BTCUSDT"
QUICK = {"reconnect_delay_s": 1.0, "reconnect_delay_max_s": 1.0}


def cut(feed: engine.Feed) -> None:
    for connection in feed.connections:
        connection.on_broken("test", "cut by the test")


def test_books_are_audited_in_turn_and_found_equal() -> None:
    async def main() -> None:
        watch = Watch()
        async with simulated("--rate", "200") as simulator:
            feed = engine.Feed(watch, url=simulator.ws, rest_url=simulator.rest, audit_interval_s=0.2)
            for category in ("linear", "spot"):
                feed.subscribe(category, ["BTCUSDT", "ETHUSDT"], book=1000)
            async with feed:
                await watch.until(lambda: len({x.topic + x.category for x in audited(watch)}) == 4)
                counters = feed.counters
                assert counters["audits_equal"] >= 4
                assert counters["audits_different"] == counters["watch_faults"] == 0
                assert counters["gaps"] == counters["unanswered"] == 0

    run(main(), timeout_s=60)


def audited(watch: Watch) -> list[engine.Event]:
    return [event for event in watch.events if event.kind == "audited" and "equal" in event.detail]


def test_a_connection_with_a_full_book_is_exchanged_without_a_gap() -> None:
    async def main() -> None:
        watch = Watch()
        async with simulated("--rate", "200") as simulator:
            feed = engine.Feed(watch, url=simulator.ws, rest_url=simulator.rest)
            feed.subscribe("spot", ["BTCUSDT"], book="full")
            async with feed:
                await watch.until(lambda: is_live(feed))
                for leg in (1, 0):
                    assert await feed.rotate() == 1
                    told = len(watch.books)
                    await watch.until(lambda told=told: len(watch.books) > told + 20)
                    assert [row.leg for row in feed.subscriptions() if row.is_in_step] == [leg]
                assert watch.gaps == []
                assert feed.counters["full_book_asks"] <= 3

    run(main(), timeout_s=60)


def test_a_full_book_begins_with_rest_and_begins_again_after_a_cut() -> None:
    async def main() -> None:
        watch = Watch()
        async with simulated("--rate", "200") as simulator:
            feed = engine.Feed(watch, url=simulator.ws, rest_url=simulator.rest, **QUICK)
            feed.subscribe("spot", ["BTCUSDT"], book="full")
            async with feed:
                for _ in range(2):
                    await watch.until(lambda: is_live(feed))
                    book = feed.book("spot", "BTCUSDT", "full")
                    assert book is not None
                    assert sum(book.level_counts()) > 100
                    cut(feed)
                    await watch.until(lambda: not is_live(feed))
                await watch.until(lambda: is_live(feed))
                assert feed.counters["full_book_asks"] >= 3
                assert feed.counters["watch_faults"] == 0

    run(main(), timeout_s=60)


def is_live(feed: engine.Feed) -> bool:
    book = feed.book("spot", "BTCUSDT", "full")
    return book is not None and book.state is engine.BookState.LIVE


class Tape(Watch):
    """Also keeps which trades and candles were filled in."""

    def __init__(self) -> None:
        super().__init__()
        self.filled: list[Trade] = []
        self.candles: list[tuple[int, bool, Decimal, str]] = []

    def on_trade(self, trade: Trade) -> None:
        super().on_trade(trade)
        if trade.source == "backfill":
            self.filled.append(trade.copy())

    def on_kline(self, kline: engine.Kline) -> None:
        self.candles.append((kline.start_ms, kline.is_closed, kline.volume, kline.source))


def test_the_trades_of_a_gap_are_filled_in_each_once_and_a_replay_is_the_same(tmp_path: Path) -> None:
    async def record(segments: Segments) -> Tape:
        watch = Tape()
        journal = Journal(segments, wall_ns(), mono_ns())
        async with simulated("--rate", "200", "--symbols", "linear:BTCUSDT") as simulator:
            other = engine.Feed(witness, url=simulator.ws)
            other.subscribe("linear", ["BTCUSDT"], book=None, trades=True)
            feed = engine.Feed(watch, url=simulator.ws, rest_url=simulator.rest, journal=journal, **QUICK)
            feed.subscribe("linear", ["BTCUSDT"], book=1000, trades=True, kline="1")
            async with other, feed:
                await watch.until(lambda: len(watch.trades) > 20)
                cut(feed)
                await watch.until(lambda: any(TRADES in said.topic for said in filled(watch)))
                assert feed.counters["watch_faults"] == feed.counters["unanswered"] == 0
            journal.commit()
        return watch

    witness = Watch()  # without whom nothing would happen in the gap
    segments = Segments(tmp_path, segment_bytes=4 << 20)
    live = run(record(segments), timeout_s=60)
    assert live.filled
    assert "back to the start of the gap" in next(x.detail for x in filled(live) if x.topic == TRADES)
    ids = [trade.trade_id for trade in live.trades]
    assert len(set(ids)) == len(ids)
    seen = [trade.trade_id for trade in witness.trades if ids[0] <= trade.trade_id <= max(ids)]
    assert set(seen) <= set(ids)
    (gap,) = (gap for gap in live.gaps if gap.topic == TRADES and gap.is_closed)
    assert all(trade.time_ms >= gap.start_ns // 1_000_000 - 1000 for trade in live.filled)

    replayed = Tape()
    dispatcher = engine.Dispatcher("linear", replayed)
    segments.replay(dispatcher)
    segments.close()
    assert told(replayed) == told(live)


def filled(watch: Watch) -> list[engine.Event]:
    return [event for event in watch.events if event.kind == "backfilled"]


def told(watch: Tape) -> list[object]:
    trades = [(x.trade_id, x.time_ms, x.recv_ns, x.position, x.index, x.source) for x in watch.trades]
    gaps = [(gap.topic, gap.cause, gap.id, gap.start_ns, gap.end_ns) for gap in watch.gaps]
    events = [(event.kind, event.topic, event.detail, event.recv_ns) for event in watch.events]
    return [trades, gaps, events, watch.books, watch.candles]


def test_a_feed_of_a_stream_elsewhere_asks_nobody() -> None:
    async def main() -> None:
        watch = Watch()
        async with simulated("--rate", "200") as simulator:
            feed = engine.Feed(watch, url=simulator.ws, audit_interval_s=0.1)
            feed.subscribe("linear", ["BTCUSDT"], book=1000)
            async with feed:
                await watch.until(lambda: len(watch.books) > 10)
                assert "rest_requests" not in feed.counters

    run(main(), timeout_s=60)
