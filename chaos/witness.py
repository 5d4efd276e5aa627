"""The listener that holds every callback against the truth."""

from dataclasses import dataclass
from typing import Final

from chaos.log import Log
from chaos.truth import Truth
from engine import Event, Gap, Kline, Liquidation, Listener, OrderBook, Ticker, Trade
from ext.book import BookState

__all__ = ["Noticed", "Witness"]

WRONG_KEPT_MAX: Final = 5


@dataclass(frozen=True, slots=True)
class Noticed:
    """A gap that opened, or an event: when, on the run's own clock."""

    at_s: float
    what: str
    kind: str
    topic: str


class Witness(Listener):
    """Compares each book with what the venue published at its update id, and keeps the ledger."""

    def __init__(self, truth: Truth, log: Log) -> None:
        self.books = 0
        self.raises = False
        self.others = 0
        self.wrong: list[str] = []
        self.noticed: list[Noticed] = []
        self.ledger: dict[tuple[str, int], Gap] = {}
        self.known_as: dict[str, int] = {}
        self._truth = truth
        self._log = log

    def on_book(self, book: OrderBook) -> None:
        """No book that is handed out may differ from the venue's at that update id."""
        self.books += 1
        topic, update_id = book.topic, book.update_id - self.known_as.get(book.topic, 0)
        true = self._truth.book(topic, update_id)
        if book.state != BookState.LIVE:
            self._accuse(f"{topic} was handed out {book.state.name}")
        elif true is None:
            self._accuse(f"{topic} has u={update_id}, which the venue never had")
        elif (dict(book.bids()), dict(book.asks())) != true:
            self._accuse(f"{topic} differs from the venue's book at u={update_id}")
        if self.raises:
            raise RuntimeError("a callback that raises")

    def on_trade(self, trade: Trade) -> None:
        self.others += 1

    def on_ticker(self, ticker: Ticker) -> None:
        self.others += 1

    def on_kline(self, kline: Kline) -> None:
        self.others += 1

    def on_liquidation(self, liquidation: Liquidation) -> None:
        self.others += 1

    def on_gap(self, gap: Gap) -> None:
        self._log.add("gap", f"{gap.topic} {gap.cause} {'closed' if gap.is_closed else 'open'} {gap.detail}")
        self.ledger[gap.topic, gap.id] = gap
        if not gap.is_closed:
            self.noticed.append(Noticed(self._log.now_s, "gap", gap.cause, gap.topic))

    def on_event(self, event: Event) -> None:
        self._log.add("event", f"{event.topic} {event.kind} {event.detail}")
        self.noticed.append(Noticed(self._log.now_s, "event", event.kind, event.topic))

    def _accuse(self, what: str) -> None:
        self._log.add("WRONG", what)
        if len(self.wrong) < WRONG_KEPT_MAX:
            self.wrong.append(what)
