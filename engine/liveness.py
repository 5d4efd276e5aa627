"""Dead or quiet: which silent topics are proven dead. Samples in, verdicts out; no clock, no socket.

A market that is quiet and a topic that died look the same from inside one topic. What tells them apart is
another topic of the same symbol that goes on; `RULES` says which, for each kind. Where there is no such proof
nothing is ever declared dead.

Time is counted in the samples themselves, at most `STEP_S_MAX` each: a process that was stopped, or a loop
that was busy, has not listened in the meantime, and its topics are not silent for that. The wall clock plays
no part.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Final, Protocol

from engine.bybit import topics
from engine.bybit.topics import Topic
from engine.clock import NS_PER_S
from ext.book import BookState, OrderBook
from ext.listener import Gap

__all__ = ["SAMPLE_S", "UNPROVEN", "Liveness", "Verdict", "View"]

# How often `tick` is to be called: a silence of 5 s is known before its sixth second.
SAMPLE_S: Final = 0.5
STEP_S_MAX: Final = 1.0
# What another topic does within this time after a message may belong to that message: topics lag each other.
SETTLE_S: Final = 1.5
# A level 1 that says the same sooner than this is a mere duplicate, no repeat.
REPEAT_S: Final = 2.0
# A leg is dead whose book another leg has had ahead for so long.
LEG_AFTER_S: Final = 5.0

UNPROVEN: Final = "quiet (unproven)"


class View(Protocol):
    """What is asked of a `Dispatcher`."""

    def last_recv_ns(self, topic: str) -> int:
        """Return when the last good frame of a topic came; only ever compared for equality."""
        ...

    def book(self, symbol: str, depth: int | str, /) -> OrderBook | None:
        """Return a book, if there is one."""
        ...

    def ticker(self, symbol: str) -> Mapping[str, str] | None:
        """Return the merged fields of a ticker."""
        ...

    def open_gaps(self) -> list[Gap]:
        """Return the gaps that are open."""
        ...

    def behind(self) -> list[tuple[str, int, int]]:
        """Return the legs that others have passed, each as topic, leg, last ``u``."""
        ...


@dataclass(frozen=True, slots=True)
class Verdict:
    """A topic is dead, silent for so long; ``detail`` is the proof. With a ``leg``: dead on that leg only."""

    topic: str
    silent_ns: int
    detail: str
    leg: int | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """A topic is dead that is silent for ``after_s`` and whose proof has held for ``held_s``."""

    after_s: float
    held_s: float
    what: str
    proof: Callable[["Liveness", "_Watched"], bool]


@dataclass(slots=True, eq=False)
class _Symbol:
    """The topics of one symbol that can prove something about another."""

    level1: "_Watched | None" = None
    trades: "_Watched | None" = None


@dataclass(slots=True, eq=False)
class _Watched:
    name: str
    topic: Topic
    rule: Rule | None
    symbol: _Symbol
    heard_ns: int
    recv_ns: int = 0
    is_moved: bool = False
    is_out: bool = False
    proven_ns: int | None = None
    is_marked: bool = False  # a proof that does not pass away
    doubted_id: int = 0  # of level 1: what it was at when it was declared dead
    # What there was when the topic fell silent.
    update_id: int = 0  # of level 1
    volume: Decimal | None = None  # the least since then

    def restart(self, now_ns: int) -> None:
        """Silence begins anew."""
        self.heard_ns = now_ns
        self.proven_ns = None
        self.is_marked = False
        self.update_id = 0
        self.volume = None


class Liveness:
    """Judges the topics of one category. ``view`` is its Dispatcher."""

    def __init__(self, category: str, view: View) -> None:
        self.category = category
        self.is_armed = False  # whether a repeat of level 1 was seen
        self.verdicts = 0
        self._view = view
        self._watched: dict[str, _Watched] = {}
        self._symbols: dict[str, _Symbol] = {}
        self._behind: dict[tuple[str, int, int], int] = {}  # topic, leg, its u -> since when
        self._time_ns = 0
        self._ticked_ns: int | None = None

    def watch(self, names: Iterable[str]) -> None:
        """Judge these topics, and no others, from now on; those that are judged already keep their state."""
        wanted = dict.fromkeys(names)
        if wanted.keys() == self._watched.keys():
            return
        before = self._watched
        self._watched, self._symbols = {}, {}
        for name in wanted:
            watched = before.get(name) or self._new(name)
            watched.symbol = self._symbols.setdefault(watched.topic.key, _Symbol())
            self._watched[name] = watched
            if watched.topic.kind == "orderbook" and watched.topic.parameter == "1":
                watched.symbol.level1 = watched
            elif watched.topic.kind == "publicTrade":
                watched.symbol.trades = watched

    def tick(self, mono_ns: int) -> list[Verdict]:
        """Take a sample at ``mono_ns`` and return who is dead; to be called every `SAMPLE_S`."""
        step_ns = 0 if self._ticked_ns is None else mono_ns - self._ticked_ns
        self._ticked_ns = mono_ns
        self._time_ns += min(max(step_ns, 0), _ns(STEP_S_MAX))
        self._listen()
        verdicts = self._judge() + self._judge_legs()
        self.verdicts += len(verdicts)
        return verdicts

    def proofs(self) -> dict[str, str]:
        """Return what would prove each topic dead, or that nothing would."""
        return {name: self._proof_of(watched) for name, watched in self._watched.items()}

    # samples

    def _listen(self) -> None:
        out = {gap.topic for gap in self._view.open_gaps()}
        last_recv_ns = self._view.last_recv_ns
        now_ns = self._time_ns
        for name, watched in self._watched.items():
            recv_ns = last_recv_ns(name)
            watched.is_moved = recv_ns != watched.recv_ns
            watched.is_out = name in out
            if watched.is_moved or watched.is_out:
                if not self.is_armed and not watched.is_out and now_ns - watched.heard_ns > _ns(REPEAT_S):
                    self.is_armed = self._is_repeat(watched)
                watched.recv_ns = recv_ns
                watched.restart(now_ns)
            if watched.doubted_id and watched.is_moved and not watched.is_out:
                self._recall(watched)

    def _recall(self, level1: _Watched) -> None:
        """A level 1 declared dead is back: if nothing had happened, the venue repeats itself no more.

        Nothing is proven by silence from there on, until a repeat is seen again.
        """
        book = self._view.book(level1.topic.key, 1)
        if book is not None and book.update_id == level1.doubted_id:
            self.is_armed = False
        level1.doubted_id = 0

    def _is_repeat(self, level1: _Watched) -> bool:
        """Whether a message after a silence says that nothing changed: the venue does repeat itself."""
        if level1.symbol.level1 is not level1 or level1.update_id == 0:
            return False
        book = self._view.book(level1.topic.key, 1)
        return book is not None and book.update_id == level1.update_id

    def _judge(self) -> list[Verdict]:
        verdicts = []
        now_ns, settled_ns = self._time_ns, self._time_ns - _ns(SETTLE_S)
        for watched in self._watched.values():
            rule = watched.rule
            if rule is None or watched.heard_ns > settled_ns:
                continue
            if not rule.proof(self, watched):
                watched.proven_ns = None
                continue
            if watched.proven_ns is None:
                watched.proven_ns = now_ns
            silent_ns = now_ns - watched.heard_ns
            if silent_ns >= _ns(rule.after_s) and now_ns - watched.proven_ns >= _ns(rule.held_s):
                detail = f"silent for {silent_ns / NS_PER_S:.1f} s: {rule.what}"
                verdicts.append(Verdict(watched.name, silent_ns, detail))
                watched.doubted_id = watched.update_id if watched.symbol.level1 is watched else 0
                watched.restart(now_ns)
        return verdicts

    def _judge_legs(self) -> list[Verdict]:
        """Another leg of the same book went on: no better proof there is."""
        before, self._behind = self._behind, {}
        verdicts = []
        for name, leg, update_id in self._view.behind():
            since_ns = before.get((name, leg, update_id), self._time_ns)
            silent_ns = self._time_ns - since_ns
            if silent_ns >= _ns(LEG_AFTER_S):
                detail = f"on leg {leg} silent for {silent_ns / NS_PER_S:.1f} s: another leg went on"
                verdicts.append(Verdict(name, silent_ns, detail, leg))
                since_ns = self._time_ns
            self._behind[name, leg, update_id] = since_ns
        return verdicts

    # proofs, each of a topic that is silent for `SETTLE_S` at least

    def _repeat_is_missing(self, watched: _Watched) -> bool:
        book = self._view.book(watched.topic.key, 1)
        if book is None or book.state is not BookState.LIVE:
            return False
        watched.update_id = book.update_id
        return self.is_armed

    def _level1_went_on(self, watched: _Watched) -> bool:
        """Level 1 shows a later state with other best prices: this book has missed something.

        A later ``seq`` alone would not do: what came and went between two messages of this topic is not sent.
        """
        level1 = self._living(watched.symbol.level1)
        if level1 is None:
            return False
        book = self._view.book(watched.topic.key, _depth(watched.topic))
        if book is None or book.state is not BookState.LIVE or level1.seq <= book.seq:
            return False
        return not _same_best(level1, book)

    def _volume_grew(self, watched: _Watched) -> bool:
        if watched.is_marked:
            return True
        fields = self._view.ticker(watched.topic.key)
        volume = None if fields is None else _decimal(fields.get("volume24h"))
        if volume is None:
            watched.volume = None
        elif watched.volume is None or volume < watched.volume:
            # It falls as well: it is of the last 24 hours.
            watched.volume = volume
        else:
            watched.is_marked = volume > watched.volume
        return watched.is_marked

    def _trades_went_on(self, watched: _Watched) -> bool:
        trades = watched.symbol.trades
        watched.is_marked |= trades is not None and trades.is_moved
        return watched.is_marked

    def _market_went_on(self, watched: _Watched) -> bool:
        fields = self._view.ticker(watched.topic.key)
        if fields is None:
            return False
        return self._trades_went_on(watched) or self._shows_other_prices(watched, fields)

    def _shows_other_prices(self, watched: _Watched, fields: Mapping[str, str]) -> bool:
        """Level 1 changed, to other best prices than the ticker has (on spot it has none)."""
        level1 = self._living(watched.symbol.level1)
        if level1 is None:
            return False
        if watched.update_id == 0:
            watched.update_id = level1.update_id
        if level1.update_id == watched.update_id:
            return False
        sides = ((fields.get("bid1Price"), level1.best_bid), (fields.get("ask1Price"), level1.best_ask))
        return any(
            best is not None and price is not None and price != level1.price(best[0])
            for price, best in ((_decimal(text), best) for text, best in sides)
        )

    def _living(self, level1: _Watched | None) -> OrderBook | None:
        if level1 is None or level1.is_out:
            return None
        book = self._view.book(level1.topic.key, 1)
        return book if book is not None and book.state is BookState.LIVE else None

    # rules

    def _new(self, name: str) -> _Watched:
        topic = topics.parse(self.category, name)
        # What came before it was judged is no news that another topic could have missed.
        recv_ns = self._view.last_recv_ns(name)
        return _Watched(name, topic, self._rule(topic), _Symbol(), self._time_ns, recv_ns)

    def _rule(self, topic: Topic) -> Rule | None:
        if self.category not in ("spot", "linear", "inverse"):
            return None
        if topic.kind == "orderbook":
            return RULES["level1" if topic.parameter == "1" else "book"]
        return RULES.get(topic.kind)

    def _proof_of(self, watched: _Watched) -> str:
        rule, symbol = watched.rule, watched.symbol
        if rule is None:
            return UNPROVEN
        has_proof = {
            "level1": self.is_armed,
            "book": symbol.level1 is not None,
            "publicTrade": f"tickers.{watched.topic.key}" in self._watched,
            "tickers": symbol.trades is not None or (symbol.level1 is not None and self.category != "spot"),
            "kline": symbol.trades is not None,
        }
        return rule.what if has_proof[_rule_name(watched.topic)] else UNPROVEN


RULES: Final = {
    "level1": Rule(5, 0, "the venue repeats an unchanged level 1 every 3 s", Liveness._repeat_is_missing),
    "book": Rule(5, 1.5, "level 1 went on to other best prices", Liveness._level1_went_on),
    "publicTrade": Rule(5, 1.5, "the volume of the ticker grew", Liveness._volume_grew),
    "tickers": Rule(5, 1.5, "level 1 or trades went on", Liveness._market_went_on),
    "kline": Rule(65, 60, "trades went on", Liveness._trades_went_on),
}


def _rule_name(topic: Topic) -> str:
    if topic.kind != "orderbook":
        return topic.kind
    return "level1" if topic.parameter == "1" else "book"


def _depth(topic: Topic) -> int | str:
    return int(topic.parameter) if topic.parameter.isdecimal() else topic.parameter


def _same_best(one: OrderBook, other: OrderBook) -> bool:
    if (one.price_scale, one.size_scale) == (other.price_scale, other.size_scale):
        return (one.best_bid, one.best_ask) == (other.best_bid, other.best_ask)
    return one.bids(1) == other.bids(1) and one.asks(1) == other.asks(1)


def _decimal(text: str | None) -> Decimal | None:
    try:
        return Decimal(text) if text else None
    except InvalidOperation:
        return None


def _ns(seconds: float) -> int:
    return round(seconds * NS_PER_S)
