"""What a feed tells of its topics when connections are exchanged, and what becomes of its own faults."""

import asyncio

import pytest

import engine
from engine.liveness import UNPROVEN
from ext.journal import RecordKind
from tests.support.market import trade_frame
from tests.support.watch import Watch
from tests.unit.test_fleet import BTC, Market, play


def test_a_rotation_removes_no_topic_and_the_table_has_data_and_proofs_of_all() -> None:
    async def scene(feed: engine.Feed, market: Market, watch: Watch) -> None:
        assert await feed.rotate() == 1
        await asyncio.sleep(1)
        assert [event for event in watch.events if event.kind == "removed"] == []
        rows = {row.topic: row for row in feed.subscriptions()}
        assert (rows[BTC].proof, rows["publicTrade.BTCUSDT"].proof) == (UNPROVEN, UNPROVEN)
        assert rows["publicTrade.BTCUSDT"].first_data_ns == 0
        trade = trade_frame("BTCUSDT", [("id-1", "Buy", "100.0", "1")]).decode()
        for _ in range(2):
            market.carriers(BTC)[0].reply(trade)
            await asyncio.sleep(1)
        row = next(row for row in feed.subscriptions() if row.topic == "publicTrade.BTCUSDT")
        assert 0 < row.first_data_ns < row.last_data_ns
        feed.remove("linear", ["BTCUSDT"])
        await asyncio.sleep(1)
        assert {event.topic for event in watch.events if event.kind == "removed"} == {
            BTC,
            "publicTrade.BTCUSDT",
        }

    assert play(scene, subscribed={"trades": True}).gaps == []


def test_what_cannot_be_recorded_does_not_end_the_feed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scene(feed: engine.Feed, market: Market, watch: Watch) -> None:
        running = asyncio.create_task(feed.changed())
        feed.decide("linear", RecordKind.REST, {"use": "trades", "topic": BTC, "leg": "none", "body": b""})
        await asyncio.sleep(1)
        assert feed.counters["faults"] == 1
        assert feed._failed is not None
        assert not feed._failed.done()
        running.cancel()

    assert play(scene).gaps == []
    assert "a fault of the feed" in caplog.text
