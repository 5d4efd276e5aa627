"""Keeps what is recorded in step with what the venue lists: read at the start, then again and again."""

import asyncio
import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final, Protocol

from engine.bybit import instruments, topics, turnover
from engine.bybit.instruments import Change, Instrument, Reading
from engine.clock import NS_PER_S, Clock
from engine.errors import ConnectError, PeerError
from engine.selection import check_listed, coin_groups, difference, select, topic_groups
from ext.dispatch import Dispatcher
from ext.journal import RecordKind
from recorder.config import Market
from recorder.instruments import payloads
from recorder.recording.refresh import RefreshSchedule

__all__ = ["Markets", "Target", "Venue"]

STATUS_TOPIC: Final = "system.status"
POLL_S: Final = 1.0
DETAIL_CHARS_MAX: Final = 1000
REFUSED_MAX: Final = 1000  # names that cannot be one; further ones are only counted

logger = logging.getLogger(__name__)

Record = Callable[[dict[str, Any]], object]
Groups = list[tuple[str, ...]]


class Venue(instruments.Source, turnover.TickerSource, Protocol):
    """Whom to ask: `engine.bybit.rest.RestClient`."""


class Target(Protocol):
    """Where a selection takes effect: `engine.feed.Feed`."""

    @property
    def topics(self) -> Mapping[str, Collection[str]]: ...

    def add_topics(
        self, category: str, groups: Iterable[Sequence[str]], *, legs: int = 1, hot: Iterable[str] = ()
    ) -> None: ...

    def remove_topics(self, category: str, names: Iterable[str]) -> list[str]: ...

    def dispatcher(self, category: str) -> Dispatcher: ...

    def decide(self, category: str, kind: RecordKind, payload: dict[str, Any]) -> None: ...


@dataclass(slots=True)
class _Entry:
    """A market and the symbols that it selected last; None before the first time."""

    market: Market
    selected: frozenset[str] | None = None


@dataclass(slots=True)
class _Listed:
    """What is known of a category."""

    reading: Reading
    turnover: Mapping[str, Decimal] = field(default_factory=dict)


class Markets:
    """What ``markets`` select of what the venue lists, less what is not ``is_mine(category, symbol)``; what
    comes by coin has no symbol.

    `begin` reads and selects; `join` hands the selection to a feed; `run` keeps it up to date: what newly
    matches is added, what was delisted is removed, scales follow, each change is a record and an event. What
    concerns no selected symbol is left out.
    """

    def __init__(
        self,
        markets: Iterable[Market],
        venue: Venue,
        *,
        refresh_s: float,
        clock: Clock,
        random: Callable[[], float],
        is_mine: Callable[[str, str], bool] = lambda category, symbol: True,
        system_status: bool = False,
    ) -> None:
        self.unreachable: ConnectError | None = None
        self.counters = {"instrument_readings": 0, "instrument_readings_failed": 0, "instruments_refused": 0}
        self._entries = [_Entry(market) for market in markets]
        self._venue = venue
        self._clock = clock
        self._is_mine = is_mine
        self._has_status = system_status and is_mine(topics.STATUS, "")
        self._schedule = RefreshSchedule(self._categories(), refresh_s, random)
        self._listed: dict[str, _Listed] = {}
        self._recorded: dict[tuple[str, str], Instrument] = {}
        self._refused: set[tuple[str, str]] = set()
        self._restarts: dict[str, int] = {}
        self._target: Target | None = None
        self._record: Record = lambda payload: None

    # the start

    async def begin(self, *, insists: bool = True) -> None:
        """Read what is listed and select of it.

        A category that the venue would not tell is recorded by the names that are given, unless there are
        none: then its PeerError is raised. Raises TopicError for a name that is not listed and a pattern that
        nothing matches. Without ``insists`` nothing is raised: `run` makes up for it.
        """
        for category in self._categories():
            try:
                self._listed[category] = await self._read(category)
            except PeerError as error:
                self._note_failure(category, error)
                if insists and any(entry.market.rule.patterns for entry in self._of(category)):
                    raise
                continue
            if insists:
                for entry in self._of(category):
                    check_listed(entry.market.rule, self._listed[category].reading.instruments)

    def topics(self) -> dict[str, list[str]]:
        """Return the topics that are selected, by category."""
        wanted = {
            category: [topic for _, groups in self._wanted(category) for group in groups for topic in group]
            for category in self._categories()
        }
        return wanted | ({topics.STATUS: [STATUS_TOPIC]} if self._has_status else {})

    def join(self, target: Target, record: Record) -> None:
        """Have the selection take effect in ``target``; ``record`` takes the payloads of REST records."""
        self._target, self._record = target, record
        for category in self._categories():
            self._apply(category)
        if self._has_status:
            target.add_topics(topics.STATUS, [(STATUS_TOPIC,)])

    # from then on

    async def run(self) -> None:
        """Read again when it is time or the venue restarted, for ever."""
        while True:
            self._look_for_restarts()
            for category in self._schedule.due(self._now_s()):
                await self.refresh(category)
            await asyncio.sleep(min(POLL_S, self._schedule.wait_s(self._now_s())))

    async def refresh(self, category: str) -> None:
        """Read a category now and follow what changed; where the venue does not tell, it is tried again."""
        try:
            listed = await self._read(category)
        except PeerError as error:
            self._note_failure(category, error)
            return
        before = self._listed.get(category)
        self._listed[category] = listed
        selected = self._selected(category)
        self._apply(category)
        if before is not None:
            concerned = selected | self._selected(category)
            for change in instruments.changes(before.reading.instruments, listed.reading.instruments):
                if change.symbol in concerned and self._is_mine(category, change.symbol):
                    self._tell(change)

    async def add(self, market: Market) -> list[str]:
        """Select more, from now on; return the topics that this adds. Raises TopicError and PeerError."""
        category = market.category
        if category not in self._listed:
            try:
                self._listed[category] = await self._read(category)
            except PeerError:
                if market.rule.patterns:
                    raise
        if category in self._listed:
            check_listed(market.rule, self._listed[category].reading.instruments)
        self._entries.append(_Entry(market))
        self._schedule.watch(category)
        return self._apply(category)

    def remove(self, category: str, symbols: Collection[str]) -> list[str]:
        """Select these symbols no more; return the topics that this removes."""
        for entry in self._of(category):
            market = entry.market.without(symbols)
            if market is None:
                self._entries.remove(entry)
            else:
                entry.market = market
        before = list(self._present(category))
        self._apply(category)
        left = set(self._present(category))
        return [topic for topic in before if topic not in left]

    # reading

    async def _read(self, category: str) -> _Listed:
        entries = self._of(category)
        names = (name for entry in entries for name in entry.market.rule.names)
        bases = (coin for entry in entries for coin in entry.market.base)
        coins = {*(name.partition("-")[0] for name in names), *bases} if category == "option" else set()
        reading = await instruments.read(self._venue, category, coins=coins)
        listed = _Listed(reading)
        if any(entry.market.top for entry in entries):
            tickers = await turnover.read_tickers(self._venue, reading)
            listed.turnover = turnover.turnovers(category, tickers, reading.instruments)
        self._schedule.succeeded(category, self._now_s(), self._dates_s(reading))
        self.counters["instrument_readings"] += 1
        self.unreachable = None
        return listed

    def _dates_s(self, reading: Reading) -> Iterator[float]:
        """Yield when instruments launch, are delivered or change their phase, on the monotonic clock."""
        now = self._clock.now()
        for one in reading.instruments.values():
            for date_ms in one.dates_ms():
                yield (now.mono_ns + date_ms * 1_000_000 - now.wall_ns) / NS_PER_S

    def _note_failure(self, category: str, error: PeerError) -> None:
        logger.warning("the %s instruments are unknown, recording goes on without: %s", category, error)
        self.counters["instrument_readings_failed"] += 1
        self._schedule.failed(category, self._now_s())
        if isinstance(error, ConnectError):
            self.unreachable = error

    def _look_for_restarts(self) -> None:
        if self._target is None:
            return
        for category in self._target.topics:
            restarts = self._target.dispatcher(category).counters.get("restarts", 0)
            if restarts > self._restarts.get(category, 0):
                self._schedule.hasten(category, self._now_s())
            self._restarts[category] = restarts

    # selecting

    def _selected(self, category: str) -> frozenset[str]:
        return frozenset(symbol for entry in self._of(category) for symbol in entry.selected or ())

    def _wanted(self, category: str) -> list[tuple[Market, Groups]]:
        """Return what each market of a category wants; what an earlier one wants is left to that."""
        taken: set[str] = set()
        wanted: list[tuple[Market, Groups]] = []
        for entry in self._of(category):
            symbols = [symbol for symbol in self._select(entry) if self._is_mine(category, symbol)]
            given = topic_groups(entry.market.rule, symbols)
            if self._is_mine(category, ""):
                given += coin_groups(entry.market.rule)
            groups = difference(given, taken).added
            taken.update(topic for group in groups for topic in group)
            wanted.append((entry.market, list(groups)))
        return wanted

    def _select(self, entry: _Entry) -> list[str]:
        rule, listed = entry.market.rule, self._listed.get(entry.market.category)
        if listed is None:
            return sorted(entry.selected) if entry.selected is not None else list(rule.names)
        present = entry.selected or frozenset()
        symbols = select(rule, listed.reading.instruments, listed.turnover, present)
        if entry.selected is not None and not entry.market.auto_listings:
            symbols = [symbol for symbol in symbols if symbol in present or symbol in rule.names]
        entry.selected = frozenset(symbols)
        return symbols

    # taking effect

    def _apply(self, category: str) -> list[str]:
        """Bring the target to what is wanted; return the topics that were added."""
        wanted = self._wanted(category)
        if self._target is None:
            return []
        self._target.add_topics(category, ())  # from here on there is a dispatcher
        self._record_selected(category, self._target.dispatcher(category))
        before = set(self._present(category))
        kept = {topic for _, groups in wanted for group in groups for topic in group}
        if gone := [topic for topic in self._present(category) if topic not in kept]:
            self._target.remove_topics(category, gone)
        added: list[str] = []
        for market, groups in wanted:
            fresh = difference(groups, before).added
            added += [topic for group in fresh for topic in group]
            if fresh:
                self._target.add_topics(category, fresh, legs=market.legs, hot=market.hot)
        self._tell_refused(category)
        return added

    def _record_selected(self, category: str, dispatcher: Dispatcher) -> None:
        """Record instruments that are selected, or were, where they are not recorded as they are now."""
        listed = self._listed.get(category)
        if listed is None:
            return
        known = {symbol for of, symbol in self._recorded if of == category}
        fresh = [
            one
            for symbol in sorted(self._selected(category) | known)
            if self._is_mine(category, symbol)
            and (one := listed.reading.instruments.get(symbol)) is not None
            and ((was := self._recorded.get((category, symbol))) is None or was.raw != one.raw)
        ]
        for payload in payloads(category, fresh):
            self._record(payload)
        for one in fresh:
            self._recorded[category, one.symbol] = one
            dispatcher.scales(one.symbol, one.price_scale, one.size_scale)

    def _tell(self, change: Change) -> None:
        logger.info("%s %s %s: %s", change.kind, change.category, change.symbol, change.describe())
        self._note(change.category, change.kind, change.symbol, change.describe())

    def _tell_refused(self, category: str) -> None:
        listed = self._listed.get(category)
        for refused in listed.reading.refused if listed is not None else ():
            key = (category, refused.name)
            if key in self._refused:
                continue
            self.counters["instruments_refused"] += 1
            if len(self._refused) < REFUSED_MAX:
                self._refused.add(key)
                logger.warning("an entry of the %s instruments is set aside: %s", category, refused.reason)
                self._note(category, "instrument_refused", "", f"{refused.name}: {refused.reason}")

    def _note(self, category: str, kind: str, topic: str, detail: str) -> None:
        assert self._target is not None
        cut = detail if len(detail) <= DETAIL_CHARS_MAX else detail[:DETAIL_CHARS_MAX] + "..."
        payload = {"kind": kind, "topic": topic, "detail": cut}
        self._target.decide(category, RecordKind.NOTED, payload)

    # small things

    def _categories(self) -> list[str]:
        return list(dict.fromkeys(entry.market.category for entry in self._entries))

    def _of(self, category: str) -> list[_Entry]:
        return [entry for entry in self._entries if entry.market.category == category]

    def _present(self, category: str) -> Collection[str]:
        assert self._target is not None
        return self._target.topics.get(category, ())

    def _now_s(self) -> float:
        return self._clock.now().mono_ns / NS_PER_S
