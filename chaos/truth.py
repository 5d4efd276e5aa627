"""What the venue really published: each book at each of its update ids, and when each message was sent."""

from collections import defaultdict
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

import orjson

__all__ = ["Published", "Truth", "topic_of"]

BOOKS_KEPT_MAX: Final = 2_000

Side = dict[Decimal, Decimal]


@dataclass(frozen=True, slots=True)
class Published:
    """One message of a topic: when it was published, on the venue's clock."""

    at_ns: int
    payload: bytes


@dataclass(slots=True)
class _Book:
    bids: Side = field(default_factory=dict)
    asks: Side = field(default_factory=dict)


class Truth:
    """Follows everything published with plain dictionaries and exact decimals."""

    def __init__(self) -> None:
        self.published: dict[str, list[Published]] = defaultdict(list)
        self._now: dict[str, _Book] = {}
        self._history: dict[str, dict[int, tuple[Side, Side]]] = defaultdict(dict)

    def note(self, topic: str, payload: bytes, at_ns: int) -> None:
        """A message was published to every subscriber."""
        self.published[topic].append(Published(at_ns, payload))
        if topic.startswith("orderbook."):
            self._follow(topic, orjson.loads(payload))

    def book(self, topic: str, update_id: int) -> tuple[Side, Side] | None:
        """Return bids and asks of a book as they were at an update id; None where it never had that."""
        return self._history[topic].get(update_id)

    def last_book(self, topic: str) -> tuple[Side, Side] | None:
        """Return bids and asks as last published."""
        book = self._now.get(topic)
        return None if book is None else (book.bids, book.asks)

    def last_update_id(self, topic: str) -> int:
        """Return the update id that was published last; 0 before the first."""
        history = self._history[topic]
        return next(reversed(history), 0)

    def _follow(self, topic: str, message: dict[str, Any]) -> None:
        data = message["data"]
        book = self._now.setdefault(topic, _Book())
        if message["type"] == "snapshot":
            book.bids, book.asks = _side(data["b"]), _side(data["a"])
        else:
            _apply(book.bids, data["b"])
            _apply(book.asks, data["a"])
        self._keep(topic, data["u"], dict(book.bids), dict(book.asks))

    def _keep(self, topic: str, update_id: int, bids: Side, asks: Side) -> None:
        history = self._history[topic]
        history.pop(update_id, None)
        history[update_id] = (bids, asks)
        if len(history) > BOOKS_KEPT_MAX:
            del history[next(iter(history))]


def topic_of(payload: bytes) -> str:
    """Return the topic of a message as the simulator writes it; empty for a control message."""
    if not payload.startswith(b'{"topic":"'):
        return ""
    return payload[10 : payload.index(b'"', 10)].decode()


def _side(rows: list[list[str]]) -> Side:
    return {Decimal(price): Decimal(size) for price, size in rows if Decimal(size)}


def _apply(side: Side, rows: list[list[str]]) -> None:
    for price, size in rows:
        if Decimal(size):
            side[Decimal(price)] = Decimal(size)
        else:
            side.pop(Decimal(price), None)
