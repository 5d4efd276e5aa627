"""Random calls of a dispatcher, over all kinds of topics and three legs; a listener that writes it down."""

import json
from dataclasses import dataclass, field
from random import Random
from typing import Any

from ext.book import OrderBook
from ext.dispatch import Dispatcher
from ext.listener import Control, Event, Gap, Kline, Liquidation, Listener, Notice, Ticker, Trade
from tests.support.frames import TS_MS, Market, compact
from tests.support.special import answer, book, book_answer, rest_trade, trade, trades_answer

SYMBOL = "BTCUSDT"
LEGS = 3
MS = 1_000_000
BOOKS = {f"orderbook.{depth}.{SYMBOL}": depth for depth in (1, 50, 200)}
FULL, RPI = f"orderbook.full.{SYMBOL}", f"orderbook.rpi.{SYMBOL}"
TRADES, TICKER, KLINE = f"publicTrade.{SYMBOL}", f"tickers.{SYMBOL}", f"kline.1.{SYMBOL}"
LIQUIDATIONS, LIMITS = f"allLiquidation.{SYMBOL}", f"priceLimit.{SYMBOL}"
TOPICS = (*BOOKS, FULL, RPI, TRADES, TICKER, KLINE, LIQUIDATIONS, LIMITS)


@dataclass(frozen=True)
class Call:
    """One call of a dispatcher."""

    name: str
    arguments: tuple[Any, ...]

    def make(self, dispatcher: Dispatcher) -> None:
        """Make the call."""
        getattr(dispatcher, self.name)(*self.arguments)


@dataclass
class Way:
    """What one leg has of one topic: how far it is in what was published."""

    at: int = 0
    needs_snapshot: bool = True


@dataclass
class Script:
    """Calls as faulty legs of a venue would make them, drawn from a `random.Random`."""

    random: Random
    now_ns: int = TS_MS * MS
    number: int = 0
    counted: int = 0
    published: dict[str, list[bytes]] = field(default_factory=lambda: {topic: [] for topic in TOPICS})
    ways: dict[tuple[int, str], Way] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.markets = {
            topic: Market(self.random, depth=depth, first_update_id=10_000) for topic, depth in BOOKS.items()
        }
        self.markets[FULL] = Market(self.random, depth=50, first_update_id=20_000)
        self.answers: list[bytes] = []
        self.rpi_u = 30_000

    def calls(self, count: int) -> list[Call]:
        """Draw so many calls."""
        made = [self._call("scales", SYMBOL, 3, 3)]
        made += [self._decision("desired", self._most_topics(), leg) for leg in range(LEGS)]
        while len(made) < count:
            made.append(self._one())
        return made

    def _most_topics(self) -> list[str]:
        return [topic for topic in TOPICS if self._chance(0.8)]

    def _chance(self, probability: float) -> bool:
        return self.random.random() < probability

    def _call(self, name: str, *arguments: Any) -> Call:
        return Call(name, arguments)

    def _stamps(self) -> tuple[int, int]:
        """The next moment and position."""
        self.now_ns += self.random.randint(1, 400) * MS
        self.number += 1
        return self.now_ns, 1 << 32 | self.number

    def _decision(self, name: str, topics: list[str], leg: int) -> Call:
        recv_ns, position = self._stamps()
        return self._call(name, topics, recv_ns, leg, position)

    def _one(self) -> Call:
        leg, chance = self.random.randrange(LEGS), self.random.random()
        if chance < 0.03:
            return self._fault(leg)
        if chance < 0.05:
            topics = self.random.sample(TOPICS, self.random.randint(1, 4))
            return self._decision(
                self.random.choice(["desired", "confirmed", "audit", "removed"]), topics, leg
            )
        if chance < 0.10:
            return self._answer(leg)
        if chance < 0.12:
            recv_ns, position = self._stamps()
            return self._call("feed", self._odd_frame(), recv_ns, leg, position)
        recv_ns, position = self._stamps()
        return self._call("feed", self._frame(leg, self.random.choice(TOPICS)), recv_ns, leg, position)

    def _fault(self, leg: int) -> Call:
        recv_ns, position = self._stamps()
        for topic in TOPICS:
            self.ways.pop((leg, topic), None)
        name = self.random.choice(["disconnected", "ended", "connected", "lost"])
        if name == "lost":
            topics = self.random.choice([None, list(TOPICS[:3])])
            return self._call(
                name,
                topics,
                recv_ns - 5 * MS,
                recv_ns,
                "own_drop",
                "ours",
                self.random.choice([-1, leg]),
                position,
            )
        return self._call(name, leg, recv_ns, position)

    def _answer(self, leg: int) -> Call:
        use = self.random.choice(["full_book", "audit", "trades", "kline"])
        recv_ns, position = self._stamps()
        if use == "full_book":
            topic, body = FULL, self.answers[-1] if self.answers else answer({})
        elif use == "audit":
            topic, body = f"orderbook.50.{SYMBOL}", self._book_answer(self.markets[f"orderbook.50.{SYMBOL}"])
        elif use == "trades":
            last = self.counted
            found = [rest_trade(number, TS_MS + number) for number in range(max(1, last - 9), last + 3)]
            topic, body = TRADES, trades_answer(found)
        else:
            rows = [[str(self._minute(back)), "1", "3", "1", "2", "5", "9"] for back in range(4)]
            topic, body = KLINE, answer({"list": rows}, time_ms=self.now_ns // MS)
        return self._call("rest", use, topic, body, recv_ns, leg, position)

    def _minute(self, back: int = 0) -> int:
        return (self.now_ns // MS // 60_000 - back) * 60_000

    def _book_answer(self, market: Market) -> bytes:
        return book_answer(
            market.update_id,
            [market._texts(-key, size) for key, size in sorted(market.bids.items())],
            [market._texts(key, size) for key, size in sorted(market.asks.items())],
            seq=market.seq,
        )

    def _odd_frame(self) -> bytes:
        odd = [
            b"{",
            b'{"topic":"publicTrade.BTCUSDT","data":7}',
            compact(
                {"topic": f"unheard.{self.random.randrange(9)}", "type": "delta", "ts": TS_MS, "data": {}}
            ),
            compact({"topic": f"orderbook.50.{SYMBOL}", "type": "delta", "ts": TS_MS, "data": {}}),
            b'{"success":true,"op":"subscribe"}',
        ]
        return self.random.choice(odd)

    def _frame(self, leg: int, topic: str) -> bytes:
        """What the leg gets next: what was published and it has not had, a snapshot where it needs one."""
        way = self.ways.setdefault((leg, topic), Way(at=len(self.published[topic])))
        published = self.published[topic]
        if topic in BOOKS and (way.needs_snapshot or self._chance(0.02)):
            way.needs_snapshot = False
            market = self.markets[topic]
            frame = market.restart().frame if self._chance(0.05) else market.snapshot().frame
            published.append(frame)
            way.at = len(published)
            return frame
        if way.at >= len(published) or self._chance(0.3):
            published.append(self._publish(topic))
        way.at = min(way.at + self._chance(0.02), len(published) - 1)  # one is lost now and then
        frame = published[way.at]
        way.at += not self._chance(0.03)
        return frame

    def _publish(self, topic: str) -> bytes:
        if topic in BOOKS or topic == FULL:
            market = self.markets[topic]
            if topic == FULL:
                frame = market.delta().frame.replace(b"orderbook.50.", b"orderbook.full.")
                if self._chance(0.5):
                    self.answers.append(self._book_answer(market))
                return frame
            return market.delta().frame
        self.counted += 1
        if topic == RPI:
            return self._rpi()
        if topic == TRADES:
            item: dict[str, Any] = trade(self.counted, TS_MS + self.counted) | {"BT": False}
        elif topic == KLINE:
            item = dict.fromkeys(("open", "close", "high", "low", "volume", "turnover"), "2")
            item |= {"start": self._minute(), "end": self._minute() + 59_999, "interval": "1"}
            item |= {"confirm": self._chance(0.5), "timestamp": self.now_ns // MS}
        elif topic == LIQUIDATIONS:
            item = {"T": TS_MS, "s": SYMBOL, "S": "Buy", "v": str(self.counted), "p": "100"}
        elif topic == LIMITS:
            item = {"symbol": SYMBOL, "buyLmt": str(self.counted), "sellLmt": "1"}
            return self._message(topic, item, "snapshot")
        else:
            item = {"symbol": SYMBOL, self.random.choice(["lastPrice", "markPrice"]): str(self.counted)}
            return self._message(topic, item, "snapshot" if self._chance(0.2) else "delta")
        return self._message(topic, [item], "snapshot")

    def _message(self, topic: str, data: Any, kind: str) -> bytes:
        return compact(
            {"topic": topic, "type": kind, "ts": TS_MS + self.counted, "data": data, "cs": self.counted}
        )

    def _rpi(self) -> bytes:
        self.rpi_u += 1
        is_first = self.rpi_u == 30_001 or self._chance(0.2)
        kind = "snapshot" if is_first else "delta"
        size = str(self.random.randint(0, 3))
        return book("rpi", kind, self.rpi_u, [("100", "1", size), ("99", size, "1")], [("101", "2", "0.5")])


class Transcript(Listener):
    """Every call with all that it said, as text; also those of its `control`."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.control = Asked(self)

    def tell(self, name: str, *values: Any) -> None:
        """Write a call down."""
        self.lines.append(json.dumps([name, *values], default=str, sort_keys=True))

    def on_book(self, book: OrderBook) -> None:
        change = book.change
        assert change is not None
        self.tell("book", *self._of(book), change.is_snapshot, change.bids, change.asks)

    def on_bbo(self, book: OrderBook) -> None:
        self.tell("bbo", *self._of(book))

    def _of(self, book: OrderBook) -> tuple[Any, ...]:
        rpi = None if book.rpi is None else (book.rpi.checksum(), book.rpi.position, book.rpi.state)
        names = (
            "topic",
            "state",
            "price_scale",
            "size_scale",
            "update_id",
            "seq",
            "ts_ms",
            "cts_ms",
            "recv_ns",
        )
        names += ("position", "leg", "absent_deletes")
        return (*(getattr(book, name) for name in names), book.checksum(), rpi)

    def on_trade(self, trade: Trade) -> None:
        self._all("trade", trade)

    def on_ticker(self, ticker: Ticker) -> None:
        self._all("ticker", ticker)

    def on_kline(self, kline: Kline) -> None:
        self._all("kline", kline)

    def on_liquidation(self, liquidation: Liquidation) -> None:
        self._all("liquidation", liquidation)

    def on_notice(self, notice: Notice) -> None:
        self._all("notice", notice)

    def on_gap(self, gap: Gap) -> None:
        self._all("gap", gap)

    def on_event(self, event: Event) -> None:
        self._all("event", event)

    def _all(self, name: str, told: object) -> None:
        values = {name: getattr(told, name) for name in dir(told) if not name.startswith("_")}
        self.tell(name, {name: value for name, value in values.items() if not callable(value)})


class Asked(Control):
    """What a dispatcher asks for, into a transcript."""

    def __init__(self, transcript: Transcript) -> None:
        self.transcript = transcript

    def on_message(self, message: object, leg: int, recv_ns: int) -> None:
        self.transcript.tell("message", message, leg, recv_ns)

    def on_desync(self, topic: str, leg: int, recv_ns: int) -> None:
        self.transcript.tell("desync", topic, leg, recv_ns)

    def on_sync(self, topic: str, leg: int, recv_ns: int) -> None:
        self.transcript.tell("sync", topic, leg, recv_ns)
