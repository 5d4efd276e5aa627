"""The continuity table of docs/design.md, the slow way: a topic at a time, a row at a time."""

from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal

from tests.support.oracle_book import SlowBook, TooManyDigitsError
from tests.support.oracle_decoder import BookMessage, Decoded, Other, Refused, TradeMessage, decode

EMPTY, LIVE, STALE = "EMPTY", "LIVE", "STALE"


@dataclass
class SlowTopic:
    """One book topic. A gap is (cause, is closed)."""

    book: SlowBook
    rule: str
    state: str = EMPTY
    update_id: int = 0
    seq: int = 0
    gaps: list[tuple[str, bool]] = field(default_factory=list)

    @property
    def open_cause(self) -> str | None:
        return self.gaps[-1][0] if self.gaps and not self.gaps[-1][1] else None

    def open_gap(self, cause: str) -> None:
        if self.open_cause is None:
            self.gaps.append((cause, False))

    def close_gap(self) -> None:
        if self.open_cause is not None:
            self.gaps[-1] = (self.gaps[-1][0], True)


@dataclass
class Outcome:
    """What one frame did; `applied` is the message that on_book must have shown."""

    decoded: Decoded
    is_beyond_double: bool = False
    applied: BookMessage | None = None


class SlowDispatcher:
    def __init__(self, category: str, rules: dict[int, str] | None = None) -> None:
        self.category = category
        self.rules = rules or {}
        self.topics: dict[str, SlowTopic] = {}
        self.counters: Counter[str] = Counter()

    def feed(self, frame: bytes, *, may_refuse: bool = False) -> Outcome:
        """Take one frame; `may_refuse`: refuse it where a parser is free to, for a number beyond a double."""
        self.counters["frames"] += 1
        verdict = decode(frame)
        is_beyond_double = may_refuse and verdict.beyond_double
        decoded = Refused(None, "a number beyond a double") if is_beyond_double else verdict.decoded
        outcome = Outcome(decoded, is_beyond_double)
        match decoded:
            case BookMessage():
                self.counters["book_messages"] += 1
                if self._book_message(decoded):
                    outcome.applied = decoded
            case TradeMessage():
                self.counters["trade_messages"] += 1
            case Refused():
                self.counters["malformed"] += 1
                if decoded.topic in self.topics:
                    self.lose(decoded.topic, "malformed")
            case Other():
                pass
        return outcome

    def lose(self, topic: str, cause: str) -> None:
        """The topic's book cannot be trusted any more."""
        entry = self.topics[topic]
        entry.state = STALE
        entry.open_gap(cause)

    def _book_message(self, message: BookMessage) -> bool:
        if message.topic not in self.topics:
            rule = self.rules.get(message.depth, "strict")
            self.topics[message.topic] = SlowTopic(SlowBook(message.depth), rule)
        entry = self.topics[message.topic]
        return self._snapshot(entry, message) if message.is_snapshot else self._delta(entry, message)

    def _snapshot(self, entry: SlowTopic, message: BookMessage) -> bool:
        book = entry.book
        if entry.state == LIVE:
            is_numbered_alike = message.update_id == entry.update_id and (
                message.depth == 1 or (0 < message.seq == entry.seq and is_plain(message))
            )
            if is_numbered_alike and book.equals(message.bids, message.asks):
                self.counters["repeats" if message.depth == 1 else "duplicates"] += 1
                return False
            cause = self._hole_before(entry, message)
            if cause is not None:
                entry.gaps.append((cause, True))
        return self._apply(entry, message)

    @staticmethod
    def _hole_before(entry: SlowTopic, message: BookMessage) -> str | None:
        if message.update_id == 1:
            return "restart"
        if falls(message.seq, entry.seq):
            return "sequence"
        if message.depth > 1:
            return None if message.update_id == entry.update_id + 1 else "snapshot"
        return "sequence" if message.update_id <= entry.update_id else None

    def _delta(self, entry: SlowTopic, message: BookMessage) -> bool:
        if entry.state != LIVE:
            self.counters["dropped_unsynced"] += 1
            return False
        if message.update_id == 1:
            self.lose(message.topic, "restart")
            return False
        if falls(message.seq, entry.seq):
            self.lose(message.topic, "sequence")
            return False
        if message.update_id == entry.update_id and entry.book.holds(message.bids, message.asks):
            self.counters["duplicates"] += 1
            return False
        is_next = message.update_id == entry.update_id + 1
        is_jump = message.update_id > entry.update_id + 1
        if not (is_next or (is_jump and entry.rule == "warn")):
            self.lose(message.topic, "sequence")
            return False
        if is_jump:
            entry.gaps.append(("sequence", True))
        return self._apply(entry, message)

    def _apply(self, entry: SlowTopic, message: BookMessage) -> bool:
        book = entry.book
        try:
            if message.is_snapshot:
                book.snapshot(message.bids, message.asks)
            else:
                book.delta(message.bids, message.asks)
        except TooManyDigitsError:
            self.lose(message.topic, "integrity")
            return False
        is_crossed = book.is_crossed and self.category not in ("option", "spread")
        is_negative = book.has_negative_price and self.category != "spread"
        if is_crossed or book.is_too_deep or is_negative:
            self.lose(message.topic, "integrity")
            return False
        entry.state = LIVE
        entry.update_id = message.update_id
        entry.seq = message.seq
        entry.close_gap()
        return True


def is_plain(message: BookMessage) -> bool:
    """Whether a snapshot lists whole sides: no size zero, best levels first, none twice."""
    for levels, sign in ((message.bids, -1), (message.asks, 1)):
        prices = [sign * Decimal(mantissa).scaleb(-scale) for (mantissa, scale), _ in levels]
        if prices != sorted(set(prices)) or not all(size for _, (size, _) in levels):
            return False
    return True


def falls(seq: int, last: int) -> bool:
    """An absent `seq` reads as 0 and proves nothing."""
    return 0 < seq < last
