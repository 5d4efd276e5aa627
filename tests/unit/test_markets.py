"""What is recorded follows what the venue lists: at the start, at each reading, and when asked."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson
import pytest

from engine.clock import ManualClock
from engine.decisions import obey
from engine.errors import ConnectError, HttpStatusError, PeerError, TopicError
from ext.dispatch import Dispatcher
from ext.journal import RecordKind
from recorder.config import Market
from recorder.recording.markets import REFUSED_MAX, Markets
from tests.support.instruments import raw_instrument
from tests.support.listeners import Notes
from tests.support.loops import run


class Venue:
    """Lists what it is told to, in one page a status."""

    def __init__(self, *symbols: str) -> None:
        self.entries: dict[str, dict[str, Any]] = {}
        self.turnover: dict[str, str] = {}
        self.error: PeerError | None = None
        self.readings = 0
        for symbol in symbols:
            self.put(symbol)

    def put(self, symbol: str, **fields: Any) -> None:
        self.entries[symbol] = raw_instrument("linear", symbol, **fields)

    async def instrument_list(
        self, category: str, *, base_coin: str = "", status: str = ""
    ) -> list[Mapping[str, Any]]:
        if self.error is not None:
            raise self.error
        self.readings += status == "Trading"
        return [entry for entry in self.entries.values() if entry["status"] == status]

    async def option_coins(self) -> list[str]:
        return ["BTC"]

    async def ticker_list(self, category: str, *, base_coin: str = "") -> list[Mapping[str, Any]]:
        return [{"symbol": symbol, "turnover24h": value} for symbol, value in self.turnover.items()]


class Target:
    """A feed without connections."""

    def __init__(self) -> None:
        self.listener = Notes()
        self.topics: dict[str, dict[str, None]] = {}
        self.dispatchers: dict[str, Dispatcher] = {}
        self.calls: list[str] = []
        self.options: list[tuple[int, tuple[str, ...]]] = []

    def add_topics(
        self, category: str, groups: Iterable[Sequence[str]], *, legs: int = 1, hot: Iterable[str] = ()
    ) -> None:
        wanted = self.topics.setdefault(category, {})
        names = [topic for group in groups for topic in group]
        self.dispatcher(category).desired(names, 0)
        wanted.update(dict.fromkeys(names))
        self.calls += [f"+{topic}" for topic in names]
        self.options += [(legs, tuple(hot))] * bool(names)

    def remove_topics(self, category: str, names: Iterable[str]) -> list[str]:
        gone = list(names)
        for topic in gone:
            del self.topics[category][topic]
        self.calls += [f"-{topic}" for topic in gone]
        return gone

    def dispatcher(self, category: str) -> Dispatcher:
        return self.dispatchers.setdefault(category, Dispatcher(category, self.listener))

    def decide(self, category: str, kind: RecordKind, payload: dict[str, Any]) -> None:
        obey(self.dispatcher(category), kind, {"category": category, **payload}, 1)


class Recording:
    """Markets over a venue and a target, with what they record."""

    def __init__(
        self, venue: Venue, *markets: dict[str, Any], refresh_s: float = 3600, **options: Any
    ) -> None:
        self.venue = venue
        self.target = Target()
        self.clock = ManualClock()
        self.payloads: list[dict[str, Any]] = []
        parsed = [
            Market.model_validate({"companion": False, "trades": False, **market}) for market in markets
        ]
        self.markets = Markets(
            parsed, venue, refresh_s=refresh_s, clock=self.clock, random=lambda: 1.0, **options
        )

    def begin(self, *, insists: bool = True) -> None:
        run(self.markets.begin(insists=insists))
        self.markets.join(self.target, self.payloads.append)

    def refresh(self, category: str = "linear") -> None:
        self.target.calls.clear()
        self.payloads.clear()
        run(self.markets.refresh(category))

    @property
    def recorded(self) -> list[str]:
        return [
            entry["symbol"]
            for payload in self.payloads
            for entry in orjson.loads(payload["body"])["result"]["list"]
        ]

    @property
    def events(self) -> list[tuple[str, str, str]]:
        return [
            (event.kind, event.topic, event.detail)
            for event in self.target.listener.events
            if event.kind not in ("desired", "removed")
        ]


def test_the_start_subscribes_records_and_sets_scales() -> None:
    recording = Recording(
        Venue("BTCUSDT", "ETHUSDT", "BTCPERP"), {"symbols": ["BTC*"], "hot": ["BTCUSDT"], "legs": 2}
    )
    recording.begin()
    assert recording.markets.topics() == {"linear": ["orderbook.50.BTCPERP", "orderbook.50.BTCUSDT"]}
    assert recording.target.calls == ["+orderbook.50.BTCPERP", "+orderbook.50.BTCUSDT"]
    assert recording.target.options == [(2, ("BTCUSDT",))]
    assert recording.recorded == ["BTCPERP", "BTCUSDT"]
    assert {payload["use"] for payload in recording.payloads} == {"instruments"}
    book = recording.target.dispatcher("linear").book("BTCUSDT", 50)
    assert book is not None
    assert (book.price_scale, book.size_scale) == (1, 3)
    assert recording.events == []


def test_what_is_listed_joins_and_what_is_delisted_leaves_and_nothing_else_is_touched() -> None:
    recording = Recording(Venue("AUSDT", "BUSDT", "CUSDT", "XPERP"), {"symbols": ["*USDT"]})
    recording.begin()
    recording.venue.put("NEWUSDT")
    recording.venue.put("YPERP")
    recording.venue.put("BUSDT", status="Closed")
    del recording.venue.entries["CUSDT"]
    recording.venue.put("AUSDT", priceFilter={"tickSize": "0.001"})
    recording.refresh()
    assert recording.target.calls == [
        "-orderbook.50.BUSDT",
        "-orderbook.50.CUSDT",
        "+orderbook.50.NEWUSDT",
    ]
    assert recording.recorded == ["AUSDT", "BUSDT", "NEWUSDT"]
    assert [(kind, topic) for kind, topic, _ in recording.events] == [
        ("instrument_changed", "AUSDT"),
        ("delisted", "BUSDT"),
        ("delisted", "CUSDT"),
        ("listed", "NEWUSDT"),
    ]
    recording.refresh()
    assert (recording.target.calls, recording.recorded, len(recording.events)) == ([], [], 4)


def test_new_scales_reach_the_dispatcher() -> None:
    recording = Recording(Venue("AUSDT"), {"symbols": ["A*"]})
    recording.begin()
    recording.venue.put("AUSDT", priceFilter={"tickSize": "0.0005"})
    recording.refresh()
    recording.target.dispatcher("linear").desired(["orderbook.200.AUSDT"], 5)
    book = recording.target.dispatcher("linear").book("AUSDT", 200)
    assert book is not None
    assert book.price_scale == 4


def test_without_auto_listings_only_what_is_named_joins() -> None:
    venue = Venue("AUSDT", "BUSDT")
    venue.put("LATERUSDT", status="PreLaunch")
    recording = Recording(venue, {"symbols": ["*", "LATERUSDT"], "auto_listings": False})
    recording.begin()
    venue.put("NEWUSDT")
    venue.put("LATERUSDT")
    del venue.entries["BUSDT"]
    recording.refresh()
    assert recording.target.calls == ["-orderbook.50.BUSDT", "+orderbook.50.LATERUSDT"]


def test_the_top_by_turnover_follows_the_market_with_patience() -> None:
    venue = Venue("AUSDT", "BUSDT", "CUSDT", "DUSDT")
    venue.turnover = {"AUSDT": "4", "BUSDT": "3", "CUSDT": "2", "DUSDT": "1"}
    recording = Recording(venue, {"top": 1})
    recording.begin()
    assert recording.target.calls == ["+orderbook.50.AUSDT"]
    venue.turnover["BUSDT"] = "5"
    recording.refresh()
    assert recording.target.calls == ["+orderbook.50.BUSDT"]
    venue.turnover["CUSDT"] = "6"
    recording.refresh()
    assert recording.target.calls == ["-orderbook.50.AUSDT", "+orderbook.50.CUSDT"]


def test_names_that_cannot_be_one_are_told_once_and_go_nowhere() -> None:
    names = ["X'; DROP TABLE trade", "../../etc/passwd", "A\x00B", "A\u202eB", 'A"B', "A" * 10_240]
    venue = Venue("AUSDT", *names)
    recording = Recording(venue, {"symbols": ["*"]})
    recording.begin()
    recording.refresh()
    told = [event for event in recording.events if event[0] == "instrument_refused"]
    assert len(told) == len(names) == recording.markets.counters["instruments_refused"]
    assert all(topic == "" and detail.isprintable() and len(detail) < 700 for _, topic, detail in told)
    assert list(recording.target.topics["linear"]) == ["orderbook.50.AUSDT"]
    assert recording.recorded == []


def test_so_many_names_are_remembered_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    assert REFUSED_MAX == 1000
    monkeypatch.setattr("recorder.recording.markets.REFUSED_MAX", 3)
    recording = Recording(Venue("AUSDT", *(f"bad {number}" for number in range(10))), {"symbols": ["*"]})
    recording.begin()
    assert len(recording.events) == 3
    assert recording.markets.counters["instruments_refused"] == 10


def test_a_name_that_is_not_listed_is_refused_at_the_start_but_not_when_resumed() -> None:
    recording = Recording(Venue("BTCUSDT"), {"symbols": ["BTCUSTD"]})
    with pytest.raises(TopicError, match="use BTCUSDT"):
        recording.begin()
    recording.begin(insists=False)
    assert recording.target.calls == []


def test_a_venue_that_does_not_tell_is_recorded_by_name_and_asked_again() -> None:
    recording = Recording(Venue("BTCUSDT"), {"symbols": ["BTCUSDT"]}, {"category": "spot", "symbols": ["A"]})
    recording.venue.error = ConnectError("http://venue", "refused", "nobody there")
    recording.begin()
    assert recording.target.calls == ["+orderbook.50.BTCUSDT", "+orderbook.50.A"]
    assert recording.markets.unreachable is recording.venue.error
    assert recording.markets.counters["instrument_readings_failed"] == 2
    recording.venue.error = None
    recording.refresh()
    assert (recording.target.calls, recording.recorded) == ([], ["BTCUSDT"])


def test_a_pattern_cannot_begin_without_the_list_unless_it_is_resumed() -> None:
    recording = Recording(Venue("BTCUSDT"), {"symbols": ["BTC*"]})
    recording.venue.error = HttpStatusError("http://venue", 503)
    with pytest.raises(HttpStatusError):
        recording.begin()
    recording.begin(insists=False)
    assert recording.target.calls == []
    recording.venue.error = None
    recording.refresh()
    assert recording.target.calls == ["+orderbook.50.BTCUSDT"]


def test_a_reading_that_fails_changes_nothing() -> None:
    recording = Recording(Venue("AUSDT"), {"symbols": ["*"]})
    recording.begin()
    recording.venue.error = HttpStatusError("http://venue", 503)
    recording.refresh()
    assert recording.target.calls == []
    assert recording.events == []


def test_more_and_less_while_running() -> None:
    recording = Recording(Venue("AUSDT", "BUSDT", "CUSDT"), {"symbols": ["[AB]*"]})
    recording.begin()
    more = Market(symbols=("CUSDT", "AUSDT"), book=(50, 200), companion=False, trades=False)
    assert run(recording.markets.add(more)) == [
        "orderbook.50.CUSDT",
        "orderbook.200.CUSDT",
        "orderbook.200.AUSDT",
    ]
    assert recording.markets.remove("linear", ["AUSDT"]) == ["orderbook.50.AUSDT", "orderbook.200.AUSDT"]
    recording.refresh()  # what was removed by hand does not come back
    assert recording.target.calls == []
    assert list(recording.target.topics["linear"]) == [
        "orderbook.50.BUSDT",
        "orderbook.50.CUSDT",
        "orderbook.200.CUSDT",
    ]
    with pytest.raises(TopicError, match="use BUSDT"):
        run(recording.markets.add(Market(symbols=("BUSTD",))))


def test_a_shard_keeps_to_its_symbols() -> None:
    recording = Recording(
        Venue("AUSDT", "BUSDT"), {"symbols": ["*"]}, is_mine=lambda category, symbol: symbol != "BUSDT"
    )
    recording.begin()
    recording.venue.put("BUSDT", status="Closed")
    recording.refresh()
    assert list(recording.target.topics["linear"]) == ["orderbook.50.AUSDT"]
    assert (recording.recorded, recording.events) == ([], [])


def test_what_comes_by_coin_and_the_status_of_the_venue_are_the_first_shards() -> None:
    for is_first in (True, False):
        recording = Recording(
            Venue("AUSDT"),
            {"symbols": ["*"], "adl": True},
            is_mine=lambda category, symbol, first=is_first: bool(symbol) or first,
            system_status=True,
        )
        recording.begin()
        subscribed = {category: list(topics) for category, topics in recording.target.topics.items()}
        by_coin = ["adlAlert.USDT", "adlAlert.USDC"] if is_first else []
        status = {"status": ["system.status"]} if is_first else {}
        assert subscribed == {"linear": ["orderbook.50.AUSDT", *by_coin], **status}
        assert recording.markets.topics() == subscribed
        recording.refresh()
        assert recording.target.calls == []


def test_it_reads_again_by_itself_when_the_time_has_come() -> None:
    recording = Recording(Venue("AUSDT"), {"symbols": ["*"]}, refresh_s=3600)

    async def main() -> None:
        added = asyncio.Event()
        await recording.markets.begin()
        recording.markets.join(recording.target, lambda payload: added.set())
        added.clear()
        recording.clock.advance(3600)
        recording.venue.put("BUSDT")
        running = asyncio.create_task(recording.markets.run())
        await added.wait()
        running.cancel()

    run(main())
    assert recording.venue.readings == 2
