"""Typed market data over REST: numbers exact, pages to the end, and errors that name the field."""

from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

import pytest

import engine
from engine.bybit.market_rest import Candle, Funding, MarketRest, OpenInterest, PriceLimit
from engine.bybit.rest import RestClient
from tests.support.loops import run
from tests.support.venue_rest import Answer, Answering, Asked, Venue, served


def ask(answer: Answering, what: Callable[[MarketRest], Awaitable[Any]]) -> tuple[Any, list[Asked]]:
    venue = Venue(answer)

    async def main() -> Any:
        async with served(venue), RestClient("testnet", url=venue.url) as rest:
            return await what(MarketRest(rest))

    return run(main()), venue.asked


def listing(*found: Any) -> Answering:
    return lambda asked: Answer(result={"list": list(found)})


@pytest.mark.parametrize(
    ("of", "path"),
    [
        ("", "kline"),
        ("mark", "mark-price-kline"),
        ("index", "index-price-kline"),
        ("premium", "premium-index-price-kline"),
    ],
)
def test_candles_of_all_prices(of: str, path: str) -> None:
    row = ["5", "1.10", "2", "0.5", "1", "7", "8.0"] if not of else ["5", "1.10", "2", "0.5", "1"]
    found, asked = ask(listing(row), lambda market: market.kline("linear", "BTCUSDT", "1", of=of))
    last = (None, None) if of else (Decimal(7), Decimal("8.0"))
    assert found == [Candle(5, Decimal("1.10"), Decimal(2), Decimal("0.5"), Decimal(1), *last)]
    assert asked[0].path == f"/v5/market/{path}"
    assert asked[0].payload == "category=linear&symbol=BTCUSDT&interval=1&limit=200"


def test_books_trades_and_tickers_are_exact() -> None:
    book = {"s": "BTCUSDT", "b": [["1.10", "2"]], "a": [], "u": 5, "seq": 6, "ts": 7, "cts": 8}
    found, _ = ask(lambda asked: Answer(result=book), lambda market: market.orderbook("linear", "BTCUSDT"))
    assert (found.bids, found.asks, found.update_id) == (((Decimal("1.10"), Decimal(2)),), (), 5)
    trade = {"execId": "t", "symbol": "S", "price": "1.0", "size": "2", "side": "Buy", "time": "9"}
    (one,), _ = ask(listing(trade), lambda market: market.recent_trades("linear", "S"))
    assert (one.price, one.size, one.side, one.time_ms, one.is_rpi) == (Decimal("1.0"), 2, "Buy", 9, False)
    ticker = {"symbol": "S", "lastPrice": "5.50", "deliveryTime": ""}
    (one,), _ = ask(listing(ticker), lambda market: market.tickers("linear"))
    assert (one.number("lastPrice"), one.number("deliveryTime"), one.number("x")) == (
        Decimal("5.50"),
        None,
        None,
    )


def test_funding_open_interest_and_price_limit() -> None:
    funding = {"symbol": "S", "fundingRate": "-0.0001", "fundingRateTimestamp": "5"}
    found, _ = ask(listing(funding), lambda market: market.funding_history("linear", "S"))
    assert found == [Funding("S", Decimal("-0.0001"), 5)]
    limit = {"symbol": "S", "buyLmt": "105.5", "sellLmt": "95", "ts": "7"}
    found, _ = ask(lambda asked: Answer(result=limit), lambda market: market.price_limit("linear", "S"))
    assert found == PriceLimit("S", Decimal("105.5"), Decimal(95), 7)

    def pages(asked: Asked) -> Answer:
        more = "" if "cursor" in asked.payload else "a%3Db"
        row = {"openInterest": "1.5", "timestamp": "5"}
        return Answer(result={"list": [row], "nextPageCursor": more})

    found, asked = ask(pages, lambda market: market.open_interest("linear", "S"))
    assert found == [OpenInterest(Decimal("1.5"), 5)] * 2
    assert asked[1].payload.endswith("&cursor=a%3Db")


@pytest.mark.parametrize(
    ("row", "says"),
    [(["5", "x", "2", "0.5", "1"], "a candle was 'x', expected a number"), ([1], "five values or more")],
)
def test_what_is_not_understood_is_named(row: list[Any], says: str) -> None:
    with pytest.raises(engine.AnswerError, match=says):
        ask(listing(row), lambda market: market.kline("linear", "S", "1"))
