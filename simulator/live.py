"""One generated symbol while it is served: its place on the tape, and all that depends on the time."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

from simulator import frames
from simulator.candles import INTERVALS, Candles
from simulator.hub import Hub, Stream
from simulator.market import BOOK_BEATS, Trade
from simulator.switches import Switches
from simulator.tape import SELDOM, Follower, Tape, Trades, Window
from simulator.ticker import Ticker, changed_fields
from simulator.topics import FULL, KLINE_CATEGORIES, RPI, Depth

LAG_MS: dict[Depth, int] = {1: 1, 25: 2, 50: 2, 100: 4, 200: 4, 1000: 5, RPI: 4, FULL: 5}
"""How long after the engine's time (cts) the gateway sends (ts)."""
TRADE_LAG_MS = 2
TICKER_MS = {"linear": 100, "inverse": 100, "spot": 50, "option": 100, "spread": 100}
TICKER_DELTAS = ("linear", "inverse")
KLINE_MS = 1_000
LIMIT_MS = 300
LIMIT_SHARE = 20
"""Orders up to 1/20 of the price away from it are let in."""
REPEAT_MS = 3_000
TRADES_KEPT_MAX = 1_000


@dataclass(slots=True)
class Lane:
    """The order-book topic of one depth. `published` counts within the lap; u rises by 1 to `u_jump`."""

    depth: Depth
    stream: Stream
    lag_ms: int
    u_jump: int
    seq: int
    ts_ms: int
    cts_ms: int
    published: int = 0


class LiveMarket:
    """Moves along the tape, lap after lap, and publishes what is subscribed. The caller tells the time."""

    def __init__(self, tape: Tape, hub: Hub, switches: Switches, random: Random, start_ms: int) -> None:
        self.instrument = tape.instrument
        self._tape = tape
        self._hub = hub
        self._switches = switches
        self._books_watched = self._seldom_watched = False
        self.observer: Callable[[list[Trade]], None] | None = None
        self._caught_up = 0
        self._position = 0
        self._seq_base = random.randrange(10**11, 9 * 10**11)
        self._seq = self._seq_base
        self._ms = start_ms
        self._trade_count = random.randrange(10**6, 10**9)
        self._trades: deque[tuple[list[Trade], int, int, int]] = deque(maxlen=TRADES_KEPT_MAX)
        self._candles = Candles(tape.last_price, start_ms)
        self._ticker = Ticker.opening(self.instrument, tape.top, tape.last_price)
        self._ticker_sent = self._ticker.fields(start_ms)
        self._ticker_due_ms = self._kline_due_ms = self._kline_sent_ms = start_ms
        self._limit_due_ms = self._quiet_until_ms = start_ms
        self.lanes = [self._lane(depth, random, start_ms) for depth in tape.depths]
        self._level1 = self.lanes[0] if self.lanes[0].depth == 1 else None
        category, symbol = self.instrument.category, self.instrument.symbol
        traded = self.instrument.coins()[0] if category == "option" else symbol
        self._trades_stream = self._stream(f"publicTrade.{traded}")
        self._ticker_stream = self._stream(f"tickers.{symbol}")
        self._liquidation_stream = self._stream(f"allLiquidation.{symbol}")
        self._limit_stream = self._stream(f"priceLimit.{symbol}")
        intervals = INTERVALS if category in KLINE_CATEGORIES else ()
        self._kline_streams = {one: self._stream(f"kline.{one}.{symbol}") for one in intervals}

    def _stream(self, topic: str) -> Stream:
        return self._hub.stream(self.instrument.category, topic)

    def _lane(self, depth: Depth, random: Random, start_ms: int) -> Lane:
        stream = self._stream(f"orderbook.{depth}.{self.instrument.symbol}")
        stream.u = random.randrange(10**6, 10**8)
        u_jump = 3 if depth == 1 and self._switches.level1_u == "jumps" else 1
        return Lane(depth, stream, LAG_MS[depth], u_jump, self._seq, start_ms, start_ms)

    def look_who_watches(self) -> bool:
        """Return whether anybody is subscribed to the symbol; call it when subscriptions changed."""
        others = (self._trades_stream, self._ticker_stream, self._liquidation_stream, self._limit_stream)
        self._catch_up()
        self._seldom_watched = any(lane.stream.subscribers for lane in self.lanes if lane.depth in SELDOM)
        self._books_watched = any(lane.stream.subscribers for lane in self.lanes)
        return self._books_watched or any(one.subscribers for one in (*others, *self._kline_streams.values()))

    def step(self, ms: int) -> int:
        """Publish the next step at a market time; return what it counts at the rate.

        That is the book messages that had a subscriber, or one where nobody watches any book of the symbol.
        """
        self._ms = ms
        # Quiet begins when every depth has published what there was.
        if ms < self._quiet_until_ms and self._position % BOOK_BEATS == 0:
            self._repeat_level1(ms)
            return 1
        step = self._tape.steps[self._position]
        seq = self._seq = self._seq_base + step.seq
        self._repeat_level1(ms)
        if step.trades is not None:
            self._publish_trades(step.trades, ms)
        self._ticker.top = step.top
        count = 0
        for number, template in step.books + step.seldom if self._seldom_watched else step.books:
            lane = self.lanes[number]
            stream = lane.stream
            stream.u += 1 + lane.published % lane.u_jump
            lane.published += 1
            lane.seq = seq
            lane.cts_ms = ms
            lane.ts_ms = ms + lane.lag_ms
            if stream.subscribers:
                self._hub.publish(stream, template % (lane.ts_ms, stream.u, seq, ms))
                count += 1
        if ms >= self._ticker_due_ms:
            self._publish_ticker(ms)
        if ms >= self._kline_due_ms:
            self._publish_klines(ms)
        if ms >= self._limit_due_ms:
            self._publish_limit(ms)
        self._position += 1
        if self._position == len(self._tape.steps):
            self._next_lap()
        if self.observer is not None:
            self.observer(step.trades.trades if step.trades is not None else [])
        return count if self._books_watched else 1

    def _catch_up(self) -> None:
        """Count what the books that are seldom watched would have published meanwhile."""
        if not self._seldom_watched:
            for step in self._tape.steps[self._caught_up : self._position]:
                for number, _ in step.seldom:
                    lane = self.lanes[number]
                    lane.stream.u += 1
                    lane.published += 1
                    lane.seq, lane.cts_ms = self._seq_base + step.seq, self._ms
                    lane.ts_ms = lane.cts_ms + lane.lag_ms
        self._caught_up = self._position

    def _next_lap(self) -> None:
        self._catch_up()
        self._position = self._caught_up = 0
        self._seq_base += self._tape.seq_span
        for lane in self.lanes:
            lane.published = 0

    def _repeat_level1(self, ms: int) -> None:
        lane = self._level1
        if lane is None or ms - lane.ts_ms < REPEAT_MS or not lane.stream.subscribers:
            return
        if self.instrument.category == "spot" and self._switches.spot_level1_repeat == "off":
            return
        lane.ts_ms += REPEAT_MS
        if self._switches.level1_repeat == "new":
            lane.seq, lane.cts_ms = self._seq, lane.ts_ms
        self._hub.publish(lane.stream, self._snapshot(lane, lane.ts_ms))

    def _publish_trades(self, taken: Trades, ms: int) -> None:
        self._candles.add(taken.sum, ms)
        self._ticker.add(taken.sum, taken.direction)
        self._trades.append((taken.trades, ms, self._seq_base, self._trade_count))
        if self._trades_stream.subscribers:
            sent_ms, category = ms + TRADE_LAG_MS, self.instrument.category
            numbers = frames.trade_numbers(
                category, sent_ms, ms, self._trade_count, self._seq_base, taken.trades
            )
            self._hub.publish(self._trades_stream, taken.template % numbers)
        self._trade_count += len(taken.trades)
        if taken.liquidation and self._liquidation_stream.subscribers:
            self._hub.publish(self._liquidation_stream, taken.liquidation % (ms + TRADE_LAG_MS, ms))

    def _publish_ticker(self, ms: int) -> None:
        self._ticker_due_ms = ms + TICKER_MS[self.instrument.category]
        if not self._ticker_stream.subscribers:
            return
        fields = self._ticker.fields(ms)
        changed = changed_fields(self._ticker_sent, fields)
        if not changed:
            return
        self._ticker_sent = fields
        deltas = self.instrument.category in TICKER_DELTAS
        kind, shown = ("delta", changed) if deltas else ("snapshot", fields)
        self._hub.publish(self._ticker_stream, frames.ticker(self.instrument, kind, shown, self._seq, ms))

    def _publish_limit(self, ms: int) -> None:
        self._limit_due_ms = ms + LIMIT_MS
        if self._limit_stream.subscribers:
            self._hub.publish(self._limit_stream, self._limit(ms))

    def limits(self) -> tuple[int, int]:
        """Return the highest bid and the lowest ask that are let in, in ticks."""
        last = self._ticker.last
        return last + abs(last) // LIMIT_SHARE, last - abs(last) // LIMIT_SHARE

    def _limit(self, ms: int) -> bytes:
        return frames.price_limit(self.instrument, *self.limits(), ms)

    def _publish_klines(self, ms: int) -> None:
        self._kline_due_ms = ms + KLINE_MS
        since_ms, self._kline_sent_ms = self._kline_sent_ms, ms
        for interval, stream in self._kline_streams.items():
            if stream.subscribers:
                self._hub.publish(stream, self._kline(interval, since_ms, ms))

    def _kline(self, interval: str, since_ms: int, ms: int) -> bytes:
        return frames.kline(self.instrument, interval, self._candle_fields(interval, since_ms, ms), ms)

    def _candle_fields(self, interval: str, since_ms: int, ms: int) -> list[dict[str, Any]]:
        self._candles.roll(ms)
        candles = self._candles.of(interval, since_ms)
        return [one.fields(self.instrument, interval, one.end_ms < ms, ms) for one in candles]

    def _snapshot(self, lane: Lane, ts_ms: int) -> bytes:
        bids, asks = self._tape.window(lane.depth, lane.published).rows()
        template = frames.book_template(self.instrument, lane.depth, "snapshot", bids, asks)
        return template % (ts_ms, lane.stream.u, lane.seq, lane.cts_ms)

    def opening(self, topic: str, ms: int) -> list[bytes]:
        """Return the frames that a subscription to one of the topics begins with, at a market time."""
        self._catch_up()
        stream = self._stream(topic)
        for lane in self.lanes:
            if lane.stream is stream:
                return [] if lane.depth == FULL else [self._snapshot(lane, max(ms, lane.ts_ms))]
        if stream is self._limit_stream:
            return [self._limit(ms)]
        if stream is self._ticker_stream:
            if not stream.subscribers:
                self._ticker_sent = self._ticker.fields(ms)
            return [frames.ticker(self.instrument, "snapshot", self._ticker_sent, self._seq, ms)]
        if not any(one.subscribers for one in self._kline_streams.values()):
            self._kline_sent_ms = ms
        return []

    def renumber(self, first_u: int | None) -> None:
        """Begin the books anew under an update id, or go on where None, each with a snapshot.

        A full book has none: its message is empty, and the client fetches the book.
        """
        self._catch_up()
        for lane in self.lanes:
            is_full = lane.depth == FULL
            if is_full and first_u is None:
                continue
            lane.stream.u = lane.stream.u + 1 if first_u is None else first_u
            lane.ts_ms = self._ms + lane.lag_ms
            if lane.stream.subscribers:
                frame = self._reset(lane) if is_full else self._snapshot(lane, lane.ts_ms)
                self._hub.publish(lane.stream, frame)

    def close_down(self) -> None:
        """End the books: u = 1 and empty sides."""
        for lane in self.lanes:
            lane.stream.u = 1
            self._hub.publish(lane.stream, self._reset(lane))

    def _reset(self, lane: Lane) -> bytes:
        kind = "delta" if lane.depth == FULL else "snapshot"
        template = frames.book_template(self.instrument, lane.depth, kind, [], [])
        return template % (self._ms + lane.lag_ms, lane.stream.u, lane.seq, self._ms)

    def follow(self, before: "LiveMarket") -> None:
        """Take over from the same symbol on another grid: numbers go on, books begin anew with u = 1."""
        self._seq = self._seq_base = before._seq + 1
        self._trade_count = before._trade_count
        self.observer = before.observer
        for lane in self.lanes:
            lane.seq = self._seq
        self.renumber(1)

    def be_quiet(self, ms: int) -> None:
        """Let nothing happen for a while; level 1 is repeated."""
        self._quiet_until_ms = self._ms + ms

    def book(self, depth: Depth) -> tuple[Window, dict[str, int]]:
        """Return the last published window of a depth, and its ts, u, seq, cts."""
        self._catch_up()
        lane = self.lanes[self._tape.depths.index(depth)]
        numbers = {"ts": lane.ts_ms, "u": lane.stream.u, "seq": lane.seq, "cts": lane.cts_ms}
        return self._tape.window(depth, lane.published), numbers

    @property
    def seq(self) -> int:
        """The sequence number of the last step."""
        return self._seq

    def prices(self) -> tuple[int, int, int]:
        """Return the last, mark and index price, in ticks."""
        return self._ticker.last, self._ticker.mark(), self._ticker.index()

    def best(self) -> tuple[int, int]:
        """Return the best bid and ask, in ticks."""
        return self._ticker.top[0], self._ticker.top[2]

    def follower(self) -> Follower:
        """Return a window of the depth that orders are matched against."""
        return Follower(self._tape, 25 if 25 in self._tape.depths else 50)

    def published(self, depth: Depth) -> int:
        """Return how many messages of a depth the lap has published."""
        return self.lanes[self._tape.depths.index(depth)].published

    def trades(self) -> list[dict[str, Any]]:
        """Return the latest trades as REST lists them, newest first."""
        trade_id = frames.trade_id_template(self.instrument)
        return [
            {
                "execId": trade_id % (first + place),
                "symbol": self.instrument.symbol,
                "price": self.instrument.price(trade.price),
                "size": self.instrument.size(trade.size),
                "side": "Buy" if trade.buys else "Sell",
                "time": str(ms),
                "isBlockTrade": False,
                "isRPITrade": trade.rpi,
                "seq": str(seq_base + trade.seq),
            }
            for trades, ms, seq_base, first in reversed(self._trades)
            for place, trade in reversed(list(enumerate(trades)))
        ]

    def ticker(self) -> dict[str, str]:
        """Return the ticker's fields as REST lists them."""
        return self._ticker.rest_fields(self._ms)

    def candles(self, interval: str) -> list[dict[str, Any]]:
        """Return all candles of an interval, oldest first, the open one last."""
        return self._candle_fields(interval, 0, self._ms)
