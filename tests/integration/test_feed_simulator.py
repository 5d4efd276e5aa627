"""A Feed and the REST client against the simulator, which shares no code with them."""

from decimal import Decimal
from typing import Any

import aiohttp
import pytest

import engine
from engine.bybit.rest import RestClient
from tests.support.loops import run
from tests.support.simulator_process import SimulatorProcess, simulated
from tests.support.watch import Watch

DEPTHS = (1, 50, 200, 1000)


async def sent_book(
    http: aiohttp.ClientSession, rest: str, category: str, symbol: str, depth: int
) -> dict[str, Any]:
    query = {"category": category, "symbol": symbol, "depth": str(depth)}
    async with http.get(f"{rest}/simulator/book", params=query) as response:
        book: dict[str, Any] = await response.json()
        return book


def levels(rows: list[list[str]]) -> list[tuple[Decimal, Decimal]]:
    return [(Decimal(price), Decimal(size)) for price, size in rows]


def is_reached(feed: engine.Feed, category: str, symbol: str, depth: int, update_id: int) -> bool:
    book = feed.book(category, symbol, depth)
    return book is not None and book.update_id == update_id


def test_every_book_ends_equal_to_what_was_sent() -> None:
    async def main() -> None:
        watch = Watch()
        arguments = ("--rate", "3000", "--messages", "4000", "--seed", "7")
        async with simulated(*arguments) as simulator, aiohttp.ClientSession() as http:
            feed = engine.Feed(watch, url=simulator.ws)
            for category in ("linear", "spot"):
                symbols = ["BTCUSDT", "ETHUSDT"]
                feed.subscribe(category, symbols, book=DEPTHS, trades=True, ticker=True, kline="1")
            async with feed:
                await simulator.done()
                for category in ("linear", "spot"):
                    for symbol in ("BTCUSDT", "ETHUSDT"):
                        for depth in DEPTHS:
                            sent = await sent_book(http, simulator.rest, category, symbol, depth)
                            place = (category, symbol, depth, sent["u"])
                            await watch.until(lambda place=place: is_reached(feed, *place))
                            book = feed.book(category, symbol, depth)
                            assert book is not None
                            assert book.state is engine.BookState.LIVE
                            assert book.bids() == levels(sent["bids"])
                            assert book.asks() == levels(sent["asks"])
                assert watch.gaps == []
                assert watch.trades
                counters = feed.counters
                assert counters["ticker_messages"] > 0
                assert counters["kline_messages"] > 0
                assert counters["malformed"] == counters["unknown_topics"] == counters["faults"] == 0
                assert counters["frames_received"] >= 4000

    run(main(), timeout_s=60)


@pytest.mark.parametrize("switch", ["snapshot_order=before", "stale_frames=3", "spot_error_req_id=on"])
def test_doubtful_behaviours_of_the_venue_make_no_difference(switch: str) -> None:
    async def main() -> None:
        watch = Watch()
        async with simulated("--rate", "500", "--switch", switch) as simulator:
            feed = engine.Feed(watch, url=simulator.ws)
            # Eleven topics and one that is not listed: two requests on spot, one of them refused.
            feed.subscribe("spot", ["BTCUSDT", "ETHUSDT", "NOSUCHUSDT"], book=DEPTHS)
            async with feed:
                await watch.until(lambda: len(watch.confirmed()) == 8 and len(watch.gaps) == 4)
                assert {(gap.topic.rpartition(".")[2], gap.cause) for gap in watch.gaps} == {
                    ("NOSUCHUSDT", "rejected")
                }
                for symbol in ("BTCUSDT", "ETHUSDT"):
                    await watch.until(
                        lambda symbol=symbol: (f"orderbook.1000.{symbol}",) in {x[:1] for x in watch.books}
                    )

    run(main(), timeout_s=60)


def test_a_killed_venue_that_comes_back_is_one_closed_gap_a_topic() -> None:
    async def main() -> None:
        watch = Watch()
        simulator = await SimulatorProcess.start("--rate", "500")
        feed = engine.Feed(watch, url=simulator.ws, reconnect_delay_s=0.05, reconnect_delay_max_s=0.2)
        feed.subscribe("linear", ["BTCUSDT", "ETHUSDT"], book=(50, 200), trades=True)
        try:
            async with feed:
                await watch.until(lambda: len(watch.confirmed()) == 6)
                await simulator.kill()
                await watch.until(lambda: watch.said("disconnected"))
                book = feed.book("linear", "BTCUSDT", 50)
                assert book is not None
                assert book.state is engine.BookState.STALE
                simulator = await SimulatorProcess.start("--rate", "500", *simulator.same_ports())
                for topic in watch.confirmed():
                    await watch.until(lambda topic=topic: watch.closed(topic) == ["disconnect"])
                    assert watch.opened(topic) == ["disconnect"]
                assert book.state is engine.BookState.LIVE
        finally:
            await simulator.stop()

    run(main(), timeout_s=60)


def test_rest_answers_of_the_simulator_are_understood() -> None:
    async def main() -> None:
        async with simulated("--rate", "500") as simulator, RestClient(url=simulator.rest) as rest:
            for category in ("linear", "spot"):
                instruments = await rest.instruments(category)
                assert [instrument.symbol for instrument in instruments] == ["BTCUSDT", "ETHUSDT"]
                assert all(instrument.status == "Trading" for instrument in instruments)
                for instrument in instruments:
                    assert Decimal(instrument.price_tick) == Decimal(1).scaleb(-instrument.price_scale)
                book = await rest.orderbook(category, "BTCUSDT", 5)
                assert len(book.result["b"]) == len(book.result["a"]) == 5
                assert (await rest.tickers(category, "BTCUSDT")).result["list"]
                assert (await rest.kline(category, "BTCUSDT", "1", limit=3)).result["symbol"] == "BTCUSDT"
                assert "list" in (await rest.recent_trades(category, "BTCUSDT")).result
            assert await rest.time_ns() > 0
            with pytest.raises(engine.RetCodeError, match="retCode 10001"):
                await rest.orderbook("linear", "NOSUCH")
            with pytest.raises(engine.HttpStatusError, match="was 404"):
                await rest.get("/v5/nowhere", {})

    run(main(), timeout_s=60)


def test_every_frame_of_a_flood_is_a_callback() -> None:
    async def main() -> None:
        watch = Watch()
        async with simulated("--rate", "max", "--messages", "20000") as simulator:
            feed = engine.Feed(watch, url=simulator.ws)
            feed.subscribe("linear", ["BTCUSDT", "ETHUSDT"], book=50)
            async with feed:
                data_frames = (await simulator.done())["data_frames"]
                await watch.until(lambda: feed.counters["book_messages"] >= data_frames)
                counters = feed.counters
                assert counters["gaps"] == 0
                assert len(watch.books) + counters["repeats"] == data_frames

    run(main(), timeout_s=60)
