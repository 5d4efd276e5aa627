"""One generated symbol while it is served: its place on the tape, and all that depends on the time."""

from collections import deque
from dataclasses import dataclass
from random import Random
from typing import Any

from simulator import frames
from simulator.candles import INTERVALS, Candles
from simulator.hub import Hub, Stream
from simulator.market import Trade
from simulator.switches import Switches
from simulator.tape import DEPTHS, Tape, Trades, Window
from simulator.ticker import Ticker, changed_fields

LAG_MS = {1: 1, 50: 2, 200: 4, 1000: 5}
"""How long after the engine's time (cts) the gateway sends (ts)."""
TRADE_LAG_MS = 2
TICKER_MS = {"linear": 100, "spot": 50}
KLINE_MS = 1_000
REPEAT_MS = 3_000
TRADES_KEPT_MAX = 1_000


@dataclass(slots=True)
class Lane:
    """The order-book topic of one depth. `published` counts within the lap; u rises by 1 to `u_jump`."""

    depth: int
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
        self._books_watched = False
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
        self._lanes = [self._lane(depth, random, start_ms) for depth in DEPTHS]
        self._trades_stream = self._stream(f"publicTrade.{self.instrument.symbol}")
        self._ticker_stream = self._stream(f"tickers.{self.instrument.symbol}")
        self._liquidation_stream = self._stream(f"allLiquidation.{self.instrument.symbol}")
        self._kline_streams = {
            one: self._stream(f"kline.{one}.{self.instrument.symbol}") for one in INTERVALS
        }

    def _stream(self, topic: str) -> Stream:
        return self._hub.stream(self.instrument.category, topic)

    def _lane(self, depth: int, random: Random, start_ms: int) -> Lane:
        stream = self._stream(f"orderbook.{depth}.{self.instrument.symbol}")
        stream.u = random.randrange(10**6, 10**8)
        u_jump = 3 if depth == 1 and self._switches.level1_u == "jumps" else 1
        return Lane(depth, stream, LAG_MS[depth], u_jump, self._seq, start_ms, start_ms)

    def look_who_watches(self) -> bool:
        """Return whether anybody is subscribed to the symbol; call it when subscriptions changed."""
        others = (self._trades_stream, self._ticker_stream, self._liquidation_stream)
        self._books_watched = any(lane.stream.subscribers for lane in self._lanes)
        return self._books_watched or any(one.subscribers for one in (*others, *self._kline_streams.values()))

    def step(self, ms: int) -> int:
        """Publish the next step at a market time; return what it counts at the rate.

        That is the book messages that had a subscriber, or one where nobody watches any book of the symbol.
        """
        step = self._tape.steps[self._position]
        self._ms = ms
        seq = self._seq = self._seq_base + step.seq
        self._repeat_level1(ms)
        if step.trades is not None:
            self._publish_trades(step.trades, ms)
        self._ticker.top = step.top
        count = 0
        for number, template in step.books:
            lane = self._lanes[number]
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
        self._position += 1
        if self._position == len(self._tape.steps):
            self._next_lap()
        return count if self._books_watched else 1

    def _next_lap(self) -> None:
        self._position = 0
        self._seq_base += self._tape.seq_span
        for lane in self._lanes:
            lane.published = 0

    def _repeat_level1(self, ms: int) -> None:
        lane = self._lanes[0]
        if ms - lane.ts_ms < REPEAT_MS or not lane.stream.subscribers:
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
            numbers = [ms + TRADE_LAG_MS]
            for number, trade in enumerate(taken.trades, start=self._trade_count):
                seq = self._seq_base + trade.seq
                numbers += (number, ms, seq) if self.instrument.category == "spot" else (ms, number, seq)
            self._hub.publish(self._trades_stream, taken.template % tuple(numbers))
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
        kind, shown = ("snapshot", fields) if self.instrument.category == "spot" else ("delta", changed)
        self._hub.publish(self._ticker_stream, frames.ticker(self.instrument, kind, shown, self._seq, ms))

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
        stream = self._stream(topic)
        for lane in self._lanes:
            if lane.stream is stream:
                return [self._snapshot(lane, max(ms, lane.ts_ms))]
        if stream is self._ticker_stream:
            if not stream.subscribers:
                self._ticker_sent = self._ticker.fields(ms)
            return [frames.ticker(self.instrument, "snapshot", self._ticker_sent, self._seq, ms)]
        if not any(one.subscribers for one in self._kline_streams.values()):
            self._kline_sent_ms = ms
        return []

    def book(self, depth: int) -> tuple[Window, dict[str, int]]:
        """Return the last published window of a depth, and its ts, u, seq, cts."""
        lane = self._lanes[DEPTHS.index(depth)]
        numbers = {"ts": lane.ts_ms, "u": lane.stream.u, "seq": lane.seq, "cts": lane.cts_ms}
        return self._tape.window(depth, lane.published), numbers

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
