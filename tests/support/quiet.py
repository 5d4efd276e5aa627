"""A venue in virtual time whose topics can be told to be quiet, or to die; judged by a Liveness."""

from dataclasses import dataclass, field

from engine.clock import ManualClock
from engine.liveness import SAMPLE_S, Liveness, Verdict
from ext.dispatch import Dispatcher
from ext.listener import Listener
from tests.support.frames import compact
from tests.support.market import book_frame, ticker_frame, trade_frame

STEP_S = 0.1
REPEAT_S = 3.0
TS_MS = 1_790_000_000_000


@dataclass
class Symbol:
    """The truth of one symbol; what is in ``dead`` is not sent any more."""

    name: str
    bid: int = 100
    seq: int = 1000
    volume: float = 10.0
    trades: int = 0
    update_ids: dict[int, int] = field(default_factory=lambda: {1: 500, 50: 500, 200: 500})
    dead: set[str] = field(default_factory=set)
    repeated_s: float = 0.0

    def topics(self, depths: tuple[int, ...] = (1, 50, 200)) -> list[str]:
        books = [f"orderbook.{depth}.{self.name}" for depth in depths]
        return [*books, f"publicTrade.{self.name}", f"tickers.{self.name}", f"kline.1.{self.name}"]


class Quiet:
    """Sends what symbols say to a Dispatcher and takes a sample each `SAMPLE_S`; keeps the verdicts."""

    def __init__(self, *names: str, category: str = "linear") -> None:
        self.clock = ManualClock()
        self.dispatcher = Dispatcher(category, Listener())
        self.liveness = Liveness(category, self.dispatcher)
        self.symbols = [Symbol(name) for name in names]
        self.verdicts: list[tuple[float, Verdict]] = []
        self.now_s = 0.0
        self.repeats = True
        self.liveness.watch([topic for symbol in self.symbols for topic in symbol.topics()])
        for symbol in self.symbols:
            self.start(symbol)
        self.sample()

    @property
    def dead(self) -> list[str]:
        return [verdict.topic for _, verdict in self.verdicts]

    def start(self, symbol: Symbol) -> None:
        for depth, update_id in symbol.update_ids.items():
            self._send(
                symbol, f"orderbook.{depth}.{symbol.name}", self._book(symbol, depth, "snapshot", update_id)
            )
        fields = {
            "bid1Price": f"{symbol.bid}.0",
            "ask1Price": f"{symbol.bid + 1}.0",
            "volume24h": f"{symbol.volume}",
        }
        self._send(symbol, f"tickers.{symbol.name}", ticker_frame(symbol.name, "snapshot", **fields))
        self.candle(symbol)

    def move(self, symbol: Symbol, by: int = 1) -> None:
        """The best prices change: every book and the ticker say so."""
        symbol.seq += 10
        before, symbol.bid = symbol.bid, symbol.bid + by
        for depth in symbol.update_ids:
            symbol.update_ids[depth] += 1
            kind = "snapshot" if depth == 1 else "delta"
            frame = self._book(symbol, depth, kind, symbol.update_ids[depth], before)
            self._send(symbol, f"orderbook.{depth}.{symbol.name}", frame)
        fields = {"bid1Price": f"{symbol.bid}.0", "ask1Price": f"{symbol.bid + 1}.0"}
        self._send(symbol, f"tickers.{symbol.name}", ticker_frame(symbol.name, "delta", **fields))
        symbol.repeated_s = self.now_s

    def flicker(self, symbol: Symbol) -> None:
        """The best prices change and change back before the next deeper message and ticker are due."""
        for by in (1, -1):
            symbol.seq += 10
            symbol.bid += by
            symbol.update_ids[1] += 1
            self._send(
                symbol, f"orderbook.1.{symbol.name}", self._book(symbol, 1, "snapshot", symbol.update_ids[1])
            )
        symbol.repeated_s = self.now_s

    def trade(self, symbol: Symbol) -> None:
        """A trade, the ticker's volume and the candle."""
        symbol.trades += 1
        symbol.volume += 1
        trade = (f"id-{symbol.trades}", "Buy", "100.0", "1")
        self._send(symbol, f"publicTrade.{symbol.name}", trade_frame(symbol.name, [trade]))
        fields = {"volume24h": f"{symbol.volume}"}
        self._send(symbol, f"tickers.{symbol.name}", ticker_frame(symbol.name, "delta", **fields))
        self.candle(symbol)

    def candle(self, symbol: Symbol) -> None:
        self._send(symbol, f"kline.1.{symbol.name}", candle_frame(symbol.name, symbol.volume))

    def pass_time(self, seconds: float) -> None:
        """Let a quiet venue go on: nothing but repeats of level 1 comes."""
        for _ in range(round(seconds / STEP_S)):
            self.clock.advance(STEP_S)
            self.now_s += STEP_S
            for symbol in self.symbols:
                if self.repeats and self.now_s - symbol.repeated_s >= REPEAT_S - 1e-6:
                    symbol.repeated_s = self.now_s
                    frame = self._book(symbol, 1, "snapshot", symbol.update_ids[1])
                    self._send(symbol, f"orderbook.1.{symbol.name}", frame)
            if round(self.now_s / STEP_S) % round(SAMPLE_S / STEP_S) == 0:
                self.sample()

    def sample(self) -> None:
        verdicts = self.liveness.tick(self.clock.now().mono_ns)
        self.verdicts += [(self.now_s, verdict) for verdict in verdicts]

    def _book(
        self, symbol: Symbol, depth: int, kind: str, update_id: int, before: int | None = None
    ) -> bytes:
        bids = [(f"{symbol.bid}.0", "1")]
        asks = [(f"{symbol.bid + 1}.0", "1")]
        if kind == "delta" and before is not None:
            bids = [(f"{before}.0", "0"), *bids]
            asks = [(f"{before + 1}.0", "0"), *asks]
        return book_frame(symbol.name, kind, update_id, bids, asks, depth=depth, seq=symbol.seq)

    def _send(self, symbol: Symbol, topic: str, frame: bytes) -> None:
        if topic.rpartition(".")[0] not in symbol.dead:
            self.dispatcher.feed(frame, self.clock.now().wall_ns)


def candle_frame(name: str, volume: float) -> bytes:
    candle = {
        "start": TS_MS,
        "end": TS_MS + 59_999,
        "interval": "1",
        "open": "100",
        "close": "100",
        "high": "100",
        "low": "100",
        "volume": f"{volume}",
        "turnover": "1",
        "confirm": False,
        "timestamp": TS_MS,
    }
    return compact({"topic": f"kline.1.{name}", "data": [candle], "ts": TS_MS, "type": "snapshot"})
