"""Topics that come and go, second legs and rotations, in virtual time against a venue in memory."""

import asyncio
import gc
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

import engine
from engine.bybit import limits
from engine.clock import ManualClock
from engine.errors import TopicError, UsageError
from ext.journal import Journal, RecordKind
from tests.support.spools import Segments, said
from tests.support.venue import Asked, book_frame, delta
from tests.support.virtual import Link, MemoryVenue, run_virtual
from tests.support.watch import Watch

BTC, ETH, SOL = (f"orderbook.50.{symbol}USDT" for symbol in ("BTC", "ETH", "SOL"))


class Market:
    """Books that move, each the same on all connections; and trades that do not."""

    def __init__(self, clock: ManualClock) -> None:
        self.update_ids: dict[str, int] = {}
        self.silent: set[str] = set()
        self.venue = MemoryVenue(clock, self.answer)
        self._moving: asyncio.Task[None] | None = None

    def answer(self, link: Asked, request: dict[str, Any]) -> None:
        link.ack(request)
        assert isinstance(link, Link)
        subscribed = self.subscribed(link)
        for topic in request["args"]:
            if request["op"] == "unsubscribe":
                subscribed.discard(topic)
                continue
            subscribed.add(topic)
            if topic.startswith("orderbook") and link.url not in self.silent:
                update_id = self.update_ids.setdefault(topic, 100)
                bids = [["100.1", str(update_id)], ["100.0", "2"]]
                link.reply(book_frame(topic, "snapshot", update_id, bids, [["100.2", "3"]]))

    def subscribed(self, link: Link) -> set[str]:
        topics: set[str] = link.__dict__.setdefault("subscribed", set())
        return topics

    def move(self, topic: str) -> None:
        """One change of a book, to all who have it."""
        self.update_ids[topic] += 1
        for link in self.venue.open_links:
            if topic in self.subscribed(link) and link.url not in self.silent:
                link.reply(delta(topic, self.update_ids[topic], str(self.update_ids[topic])))

    async def keep_moving(self) -> None:
        while True:
            for topic in list(self.update_ids):
                self.move(topic)
            await asyncio.sleep(0.01)

    def carriers(self, topic: str) -> list[Link]:
        return [link for link in self.venue.open_links if topic in self.subscribed(link)]


Scene = Callable[[engine.Feed, Market, Watch], Awaitable[None]]


def play(scene: Scene, *symbols: str, subscribed: dict[str, Any] | None = None, **options: Any) -> Watch:
    """Run a scene with a feed whose books move all the time; every book must follow the market's."""
    clock = ManualClock()
    market = Market(clock)
    watches: list[Watch] = []

    async def main() -> None:
        watch = Watch()
        watches.append(watch)
        feed = engine.Feed(
            watch,
            url="ws://127.0.0.1:1",
            clock=clock,
            opener=market.venue.open,
            random=lambda: 0.5,
            **options,
        )
        feed.subscribe("linear", symbols or ("BTCUSDT", "ETHUSDT"), **(subscribed or {}))
        async with feed:
            await watch.until(lambda: (BTC, 100) in watch.books)
            moving = asyncio.create_task(market.keep_moving())
            await scene(feed, market, watch)
            await asyncio.sleep(0.1)
            moving.cancel()

    run_virtual(main(), clock, limit_s=1500)
    (watch,) = watches
    for topic in {topic for topic, _ in watch.books}:
        update_ids = [update_id for name, update_id in watch.books if name == topic]
        assert watch.opened(topic) or update_ids == list(
            range(update_ids[0], update_ids[0] + len(update_ids))
        )
    return watch


def test_what_is_added_while_running_touches_nothing_else() -> None:
    async def scene(feed: engine.Feed, market: Market, watch: Watch) -> None:
        symbols = [f"COIN{number}USDT" for number in range(100)]
        feed.add("linear", symbols, trades=True)
        await watch.until(lambda: len({topic for topic, _ in watch.books}) == 102)
        await asyncio.sleep(1)
        assert len(market.venue.links) == 1
        removed = feed.remove("linear", symbols)
        assert len(removed) == 200
        await asyncio.sleep(1)
        assert set(feed.topics["linear"]) == {BTC, ETH} == market.subscribed(market.venue.links[0])

    watch = play(scene)
    assert watch.gaps == []


def test_topics_come_and_go_from_a_callback() -> None:
    class Changing(Watch):
        feed: engine.Feed

        def on_book(self, book: engine.OrderBook) -> None:
            super().on_book(book)
            if (book.topic, book.update_id) == (BTC, 100):
                self.feed.subscribe("linear", ["SOLUSDT"])
                self.feed.subscribe("spot", ["BTCUSDT"])
                self.feed.remove("linear", ["ETHUSDT"])
                assert self.feed.dispatcher("linear").category == "linear"

    clock = ManualClock()
    market = Market(clock)

    async def main() -> None:
        watch = Changing()
        feed = watch.feed = engine.Feed(
            watch, url="ws://127.0.0.1:1", clock=clock, opener=market.venue.open, random=lambda: 0.5
        )
        feed.subscribe("linear", ["BTCUSDT", "ETHUSDT"])
        async with feed:
            await watch.until(lambda: (SOL, 100) in watch.books and feed.topics["spot"])
            await asyncio.sleep(1)
            assert set(feed.topics["linear"]) == {BTC, SOL}
            assert [link.url.rpartition("/")[2] for link in market.venue.open_links] == ["linear", "spot"]
            assert watch.gaps == []

    run_virtual(main(), clock)


def test_a_connection_without_topics_is_closed_and_its_leg_used_again() -> None:
    async def scene(feed: engine.Feed, market: Market, watch: Watch) -> None:
        await watch.until(lambda: (ETH, 105) in watch.books)
        feed.remove("linear", ["BTCUSDT"])
        await asyncio.sleep(1)
        assert [connection.session.leg for connection in feed.connections] == [1]
        assert len(market.venue.open_links) == 1
        feed.subscribe("linear", ["SOLUSDT"], hot=["SOLUSDT"])
        await watch.until(lambda: any(topic == SOL for topic, _ in watch.books))
        assert [connection.session.leg for connection in feed.connections] == [1, 0]
        assert [connection.session.connection for connection in feed.connections] == [2, 3]
        counters = feed.counters
        assert counters["connects"] == 3
        assert counters["disconnects"] == 1

    watch = play(scene, subscribed={"hot": ["BTCUSDT", "ETHUSDT"]})
    assert watch.gaps == []


def test_an_ask_for_nothing_or_for_what_there_is_not_is_refused_and_changes_nothing() -> None:
    async def scene(feed: engine.Feed, market: Market, watch: Watch) -> None:
        before = feed.topics
        with pytest.raises(TopicError, match="use 1000"):
            feed.subscribe("linear", ["SOLUSDT"], book=500)
        with pytest.raises(TopicError, match="does not exist"):
            feed.subscribe("linaer", ["SOLUSDT"])
        with pytest.raises(UsageError, match="1 to 2 legs"):
            feed.subscribe("linear", ["SOLUSDT"], legs=3)
        with pytest.raises(TopicError, match="give a list"):
            feed.remove("linear", "BTCUSDT")
        assert feed.remove("linear", ["SOLUSDT"]) == []
        assert feed.remove("spot", ["BTCUSDT"]) == []
        feed.subscribe("linear", ["BTCUSDT"])
        assert feed.topics == before
        assert len(market.venue.links) == 1

    assert play(scene).gaps == []


def test_a_second_leg_is_on_another_connection_and_the_loss_of_one_is_no_gap() -> None:
    async def scene(feed: engine.Feed, market: Market, watch: Watch) -> None:
        for cut in range(20):
            await until_in_step(feed, 2)
            assert len(market.carriers(BTC)) == 2
            market.carriers(BTC)[cut % 2].cut()
        await until_in_step(feed, 2)

    watch = play(scene, subscribed={"legs": 2}, second_url="ws://127.0.0.1:2")
    assert watch.gaps == []
    assert len(watch.said("disconnected")) == 20
    assert len(watch.said("reconnected")) == 20


async def until_in_step(feed: engine.Feed, legs: int) -> None:
    """Wait until each topic is in step on so many legs."""
    while [status.is_in_step for status in feed.subscriptions()] != [True] * len(
        feed.topics["linear"]
    ) * legs:
        await feed.changed()


def test_a_rotation_loses_nothing_and_leaves_the_old_connection() -> None:
    async def scene(feed: engine.Feed, market: Market, watch: Watch) -> None:
        for _ in range(5):
            assert await feed.rotate() == 1
            await asyncio.sleep(1)
            assert len(market.venue.open_links) == len(market.carriers(ETH)) == 1
        assert len(market.venue.links) == 6
        feed.subscribe("linear", ["SOLUSDT"])

    watch = play(scene, subscribed={"trades": True})
    assert watch.gaps == []
    assert watch.said("rotated") == [
        f"leg {new} instead of leg {old}" for new, old in ((1, 0), (0, 1), (1, 0), (0, 1), (1, 0))
    ]
    assert watch.said("disconnected") == []


def test_connections_are_rotated_when_they_are_old_and_not_all_at_once() -> None:
    async def scene(feed: engine.Feed, market: Market, watch: Watch) -> None:
        await asyncio.sleep(1000)
        assert 2 * 2 <= len(watch.said("rotated")) <= 2 * 3

    watch = play(scene, subscribed={"hot": ["BTCUSDT"]}, rotate_after_s=400)
    assert watch.gaps == []


def test_a_rotation_that_does_not_get_in_step_is_given_up() -> None:
    async def scene(feed: engine.Feed, market: Market, watch: Watch) -> None:
        (old,) = market.venue.open_links

        def deaf(link: Asked, request: dict[str, Any]) -> None:
            link.ack(request)

        market.venue.answer = deaf
        assert await feed.rotate() == 0
        assert market.carriers(BTC) == [old]
        market.venue.answer = market.answer
        assert await feed.rotate() == 1

    watch = play(scene)
    assert watch.gaps == []
    assert len(watch.said("rotation_failed")) == 1


def test_what_comes_and_goes_during_a_rotation_is_on_the_new_connection_too() -> None:
    async def scene(feed: engine.Feed, market: Market, watch: Watch) -> None:
        market.venue.latency_s = 0.5
        rotating = feed.rotate()
        await asyncio.sleep(0.1)
        feed.subscribe("linear", ["SOLUSDT"])
        feed.remove("linear", ["ETHUSDT"])
        assert await rotating == 1
        await asyncio.sleep(5)
        (link,) = market.venue.open_links
        assert market.subscribed(link) == {BTC, SOL}

    assert play(scene).opened(BTC) == []


def test_all_topics_may_go_during_a_rotation() -> None:
    async def scene(feed: engine.Feed, market: Market, watch: Watch) -> None:
        rotating = feed.rotate()
        await asyncio.sleep(0)
        feed.remove("linear", ["BTCUSDT", "ETHUSDT"])
        assert await rotating == 0
        assert watch.said("rotated") == []
        await asyncio.sleep(2)
        assert market.venue.open_links == []
        assert feed.connections == []

    play(scene)


def test_each_topic_has_a_row_for_each_leg() -> None:
    async def scene(feed: engine.Feed, market: Market, watch: Watch) -> None:
        await until_in_step(feed, 2)
        rows = {(row.topic, row.leg): row for row in feed.subscriptions()}
        assert set(rows) == {(topic, leg) for topic in (BTC, ETH) for leg in (0, 1)}
        for row in rows.values():
            assert row.state is engine.TopicState.CONFIRMED
            assert 0 < row.requested_ns < row.confirmed_ns <= row.last_data_ns
            assert row.requested_ns < row.first_data_ns <= row.last_data_ns
            assert (row.rejected_ns, row.reason) == (0, "")

    play(scene, subscribed={"legs": 2})


def test_a_rejection_is_in_the_table_with_its_reason() -> None:
    async def scene(feed: engine.Feed, market: Market, watch: Watch) -> None:
        def answer(link: Asked, request: dict[str, Any]) -> None:
            link.ack(request, success=False, reason="error:handler not found,topic:" + request["args"][0])

        market.venue.answer = answer
        feed.subscribe("linear", ["SOLUSDT"])
        await watch.until(lambda: watch.opened(SOL))
        (row,) = [row for row in feed.subscriptions() if row.topic == SOL]
        assert row.state is engine.TopicState.PARKED
        assert row.reason.startswith("error:handler not found")
        assert row.requested_ns < row.rejected_ns

    assert play(scene).opened(BTC) == []


def test_a_stalled_topic_is_subscribed_anew_and_no_other() -> None:
    async def scene(feed: engine.Feed, market: Market, watch: Watch) -> None:
        (row, _) = feed.subscriptions()
        feed.stalled("linear", [BTC], row.last_data_ns, "silent for 5 s")
        await watch.until(lambda: watch.closed(BTC))
        assert feed.counters["stalls"] == 1
        (gap,) = [gap for gap in watch.gaps if gap.is_closed]
        assert (gap.cause, gap.start_ns, gap.detail) == ("stalled", row.last_data_ns, "silent for 5 s")

    assert play(scene).opened(ETH) == []


def test_a_ping_by_hand_tells_the_round_trip() -> None:
    async def scene(feed: engine.Feed, market: Market, watch: Watch) -> None:
        market.venue.latency_s = 0.25
        (rtt_s,) = (await feed.ping()).values()
        assert rtt_s == pytest.approx(0.5, abs=0.001)
        market.venue.latency_s = 30
        assert list((await feed.ping()).values()) == [None]

    play(scene)


def test_what_never_came_is_missing_since_it_was_wanted() -> None:
    clock = ManualClock()
    market = Market(clock)
    market.venue.refuse = lambda url: clock.now().mono_ns < wanted.mono_ns + 60 * 10**9
    wanted = clock.now()

    async def main() -> None:
        watch = Watch()
        feed = engine.Feed(
            watch, url="ws://127.0.0.1:1", clock=clock, opener=market.venue.open, random=lambda: 0.5
        )
        feed.subscribe("linear", ["BTCUSDT"], trades=True)
        async with feed:
            await asyncio.sleep(30)
            added_ns = clock.now().wall_ns
            feed.subscribe("linear", ["ETHUSDT"])
            await watch.until(lambda: len([gap for gap in watch.gaps if gap.is_closed]) == 3)
            starts = {gap.topic: gap.start_ns for gap in watch.gaps}
            assert starts == {BTC: wanted.wall_ns, "publicTrade.BTCUSDT": wanted.wall_ns, ETH: added_ns}
            assert {gap.cause for gap in watch.gaps} == {"disconnect"}
            assert len(watch.said("connect_failed")) == 1
            assert watch.said("disconnected") == []

    run_virtual(main(), clock)


def test_waiting_for_the_allowance_of_connections_is_missing_data_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("engine.backoff.Allowance.reserve_s", lambda self, mono_ns: 40.0)

    async def scene(feed: engine.Feed, market: Market, watch: Watch) -> None:
        await watch.until(lambda: watch.closed(BTC) and watch.closed(ETH))

    watch = play(scene)
    assert watch.opened(BTC) == watch.opened(ETH) == ["disconnect"]


def test_the_allowance_is_one_for_all_categories_of_a_host() -> None:
    clock = ManualClock()
    market = Market(clock)
    times: list[float] = []
    market.venue.refuse = lambda url: times.append(clock.now().mono_ns / 1e9) or False  # type: ignore[func-returns-value]  # to note the time

    async def main() -> None:
        watch = Watch()
        feed = engine.Feed(
            watch,
            url="ws://127.0.0.1:1",
            second_url="ws://127.0.0.1:2",
            clock=clock,
            opener=market.venue.open,
        )
        for category in ("linear", "spot"):
            symbols = [f"COIN{number}USDT" for number in range(300)]
            feed.subscribe(category, symbols, hot=symbols)
        async with feed:
            await asyncio.sleep(1)
            assert len(times) == limits.NEW_CONNECTIONS_MAX
            feed.subscribe("linear", ["COIN0USDT"], legs=2)
            await asyncio.sleep(1)
            assert len(times) == limits.NEW_CONNECTIONS_MAX + 1
            await asyncio.sleep(limits.NEW_CONNECTIONS_WINDOW_S)
            assert len(times) == 601

    run_virtual(main(), clock)


def test_more_connections_than_the_venue_allows_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "CONNECTIONS_PER_CATEGORY_MAX", 3)

    async def scene(feed: engine.Feed, market: Market, watch: Watch) -> None:
        symbols = ["AUSDT", "BUSDT", "CUSDT"]
        before = feed.topics
        with pytest.raises(UsageError, match="linear needs 4 connections; the venue allows 3"):
            feed.subscribe("linear", symbols, hot=symbols)
        assert feed.topics == before
        feed.subscribe("linear", symbols[:2], hot=symbols)
        await watch.until(lambda: len({topic for topic, _ in watch.books}) == 4)
        assert await feed.rotate() == 0
        assert len(watch.said("rotation_failed")) == 3

    assert play(scene).gaps == []


def test_too_many_connections_at_the_start_leave_nothing_running(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "CONNECTIONS_PER_CATEGORY_MAX", 3)
    feed = engine.Feed(Watch(), url="ws://127.0.0.1:1")
    feed.subscribe("spot", ["BTCUSDT"])
    symbols = [f"COIN{number}USDT" for number in range(4)]
    feed.subscribe("linear", symbols, hot=symbols)

    async def main() -> None:
        with pytest.raises(UsageError, match="linear needs 4 connections"):
            await feed.run_async()
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(main())


def test_a_connection_that_fails_by_itself_ends_the_feed(monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(self: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("engine.connection.Connection.run", broken)
    feed = engine.Feed(Watch(), url="ws://127.0.0.1:1")
    feed.subscribe("linear", ["BTCUSDT"])
    with pytest.raises(ZeroDivisionError):
        asyncio.run(feed.run_async())


def test_full_books_are_fetched_and_not_subscribed_anew() -> None:
    fetched: list[tuple[str, str, int]] = []

    async def scene(feed: engine.Feed, market: Market, watch: Watch) -> None:
        feed.fetch_full_books(lambda *asked: fetched.append(asked))
        (fleet,) = feed._fleets.values()
        fleet.on_desync("orderbook.full.BTCUSDT", 0, 1)
        assert fetched == [("linear", "orderbook.full.BTCUSDT", 0)]

    play(scene)


def test_connection_numbers_come_round_without_meeting_one_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.connector.CONNECTION_NUMBER_MAX", 4)

    async def scene(feed: engine.Feed, market: Market, watch: Watch) -> None:
        numbers = []
        for _ in range(6):
            await feed.rotate()
            numbers.append([connection.session.connection for connection in feed.connections])
        assert [len(set(pair)) for pair in numbers] == [2] * 6
        assert max(number for pair in numbers for number in pair) <= 4

    assert play(scene, subscribed={"hot": ["BTCUSDT"]}).gaps == []


def test_a_decision_of_others_is_recorded_and_obeyed(tmp_path: Path) -> None:
    segments = Segments(tmp_path)
    now = ManualClock().now()
    journal = Journal(segments, now.wall_ns, now.mono_ns)

    async def scene(feed: engine.Feed, market: Market, watch: Watch) -> None:
        feed.decide("linear", RecordKind.NOTED, {"kind": "listed", "topic": "", "detail": "NEWUSDT"})
        await watch.until(lambda: watch.said("listed"))

    watch = play(scene, journal=journal)
    noted = [said(record) for record in segments.records() if record.kind == RecordKind.NOTED]  # type: ignore[union-attr]  # no damage in these
    segments.close()
    assert watch.said("listed") == ["NEWUSDT"]
    assert noted == [{"category": "linear", "kind": "listed", "topic": "", "detail": "NEWUSDT"}]


def test_a_thousand_reconnects_leave_nothing_behind() -> None:
    def descriptors() -> int:
        return sum(1 for _ in Path("/proc/self/fd").iterdir())

    async def scene(feed: engine.Feed, market: Market, watch: Watch) -> None:
        sizes = []
        for cut in range(1, 1001):
            market.venue.open_links[0].cut()
            await watch.until(lambda cut=cut: len(watch.said("reconnected")) == cut)
            await until_in_step(feed, 1)
            if cut in (100, 1000):
                watch.books.clear()
                gc.collect()
                sizes.append((len(asyncio.all_tasks()), descriptors()))
        assert sizes[0] == sizes[1]

    play(scene, reconnect_delay_s=0.01, reconnect_delay_max_s=0.02)


def test_what_has_no_symbol_is_wanted_by_its_topic() -> None:
    status = {
        "topic": "system.status",
        "ts": 1790000000000,
        "data": [{"id": "1", "title": "maintenance", "state": "ongoing", "begin": "1", "end": "2"}],
    }
    limit = {
        "topic": "priceLimit.BTCUSDT",
        "ts": 1790000000000,
        "data": {"symbol": "BTCUSDT", "buyLmt": "91000.00", "sellLmt": "82000.00"},
    }

    async def scene(feed: engine.Feed, market: Market, watch: Watch) -> None:
        feed.add_topics("status", [["system.status"]])
        feed.subscribe("linear", ["BTCUSDT"], book=None, price_limits=True)
        feed.add_topics("linear", [["insurance.USDT", "adlAlert.USDT"]])
        await watch.until(lambda: len(watch.confirmed()) == 6)
        (path,) = [link for link in market.venue.open_links if "misc/status" in link.url]
        path.reply(status)
        market.carriers("priceLimit.BTCUSDT")[0].reply(limit)
        await watch.until(lambda: len(watch.notices) == 2)
        assert feed.remove("status", ["status"]) == ["system.status"]

    assert play(scene).gaps == []


def test_companions_are_books_of_depth_1() -> None:
    async def scene(feed: engine.Feed, market: Market, watch: Watch) -> None:
        feed.subscribe("linear", ["SOLUSDT"], book=[200, "rpi"], companion=True)
        feed.subscribe("option", ["BTC-25DEC26-90000-C"], book=25, companion=True)
        assert [topic for topic in feed.topics["linear"] if "SOL" in topic] == [
            "orderbook.200.SOLUSDT",
            "orderbook.rpi.SOLUSDT",
            "orderbook.1.SOLUSDT",
        ]
        assert list(feed.topics["option"]) == ["orderbook.25.BTC-25DEC26-90000-C"]

    play(scene)


def test_a_ticker_is_rotated_with_its_own_snapshot() -> None:
    topic = "tickers.BTCUSDT"

    def ticker(kind: str, price: int) -> dict[str, Any]:
        data = {"symbol": "BTCUSDT", "lastPrice": str(price)}
        return {"topic": topic, "type": kind, "ts": 1790000000000, "cs": price, "data": data}

    async def scene(feed: engine.Feed, market: Market, watch: Watch) -> None:
        def answer(link: Asked, request: dict[str, Any]) -> None:
            market.answer(link, request)
            if request["op"] == "subscribe" and topic in request["args"]:
                link.reply(ticker("snapshot", 1))

        market.venue.answer = answer
        feed.subscribe("linear", ["BTCUSDT"], book=None, ticker=True)
        await until_in_step(feed, 1)
        assert await feed.rotate() == 1
        assert [row.leg for row in feed.subscriptions() if row.is_in_step] == [1, 1, 1]

    assert play(scene).gaps == []
