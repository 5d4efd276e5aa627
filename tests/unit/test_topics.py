"""The table of topics: what exists, what is refused, and what is offered instead."""

import pytest

from engine.bybit import topics
from engine.bybit.topics import CATEGORIES, KEYS, KINDS, STATUS
from engine.errors import TopicError


@pytest.mark.parametrize("category", [*CATEGORIES, STATUS])
def test_every_topic_of_the_table_is_built_and_taken_apart_again(category: str) -> None:
    symbol = {"option": "BTC-25DEC26-90000-C", "spread": "SOLUSDT_SOL/USDT".replace("_", "/")}.get(
        category, "BTCUSDT"
    )
    for kind, by_category in KINDS.items():
        for parameter in by_category.get(category, ()) or [""] * (category in by_category):
            for key in KEYS.get((kind, category), (symbol,)):
                name = topics.build(category, kind, key, parameter)
                parts = topics.parse(category, name)
                assert (parts.kind, parts.parameter, parts.key) == (kind, parameter, key)
                assert str(parts) == name


@pytest.mark.parametrize(
    ("category", "topic", "message"),
    [
        ("linear", "orderbook.500.BTCUSDT", "depth was 500; linear has 1, 50, 200, 1000, rpi: use 1000"),
        ("linear", "orderbook.100.BTCUSDT", "depth was 100; linear has 1, 50, 200, 1000, rpi: use 50 or 200"),
        ("linear", "orderbook.5000.BTCUSDT", "use 1000"),
        ("linear", "orderbook.full.BTCUSDT", "depth was full; linear has 1, 50, 200, 1000, rpi"),
        ("option", "orderbook.rpi.BTC-25DEC26-90000-C", "depth was rpi; option has 25, 100"),
        ("option", "orderbook.50.BTC-25DEC26-90000-C", "depth was 50; option has 25, 100: use 25 or 100"),
        ("linear", "instrument_info.100ms.BTCUSDT", "'instrument_info' was replaced: use tickers"),
        ("linear", "orderBookL2_25.BTCUSDT", "was replaced: use orderbook.50"),
        ("spot", "tickers_lt.BTC3LUSDT", "leveraged tokens: ask for tickers and kline of the market itself"),
        ("linear", "insurance.BTC", "key of insurance was 'BTC'; linear has USDT, USDC: use USDT or USDC"),
        ("inverse", "adlAlert.USDT", "inverse has inverse: use inverse"),
        ("spot", "insurance.USDT", "spot has no insurance: insurance exists in linear, inverse"),
        ("linear", "system.status", "linear has no system: system exists in status"),
        ("status", "system.state", "status has status: use status"),
        ("status", "orderbook.50.BTCUSDT", "status has no orderbook"),
        ("spot", "liquidation.BTCUSDT", "topic kind 'liquidation' was replaced: use allLiquidation"),
        (
            "spot",
            "allLiquidation.BTCUSDT",
            "spot has no allLiquidation: allLiquidation exists in linear, inverse",
        ),
        ("linear", "kline.2.BTCUSDT", "interval was 2; .*: use 1 or 3"),
        ("linear", "kline.d.BTCUSDT", "use D"),
        ("linear", "tradesz.BTCUSDT", "topic kind was 'tradesz', which does not exist"),
        ("linear", "ticker.BTCUSDT", "use tickers"),
        ("linear", "publicTrade.btcusdt", "use BTCUSDT"),
        ("linear", "publicTrade.", "symbol was ''"),
        ("linear", "orderbook.50", "symbol was ''"),
        ("liner", "publicTrade.BTCUSDT", "category was 'liner', which does not exist: use linear"),
        ("futures", "publicTrade.BTCUSDT", "use spot or linear or inverse or option or spread"),
    ],
)
def test_what_cannot_be_is_refused_with_the_nearest_that_can(category: str, topic: str, message: str) -> None:
    with pytest.raises(TopicError, match=message):
        topics.parse(category, topic)


@pytest.mark.parametrize(
    "symbol", ["", "btcusdt", "../X", "A" * 42, "BTC USDT", "X';DROP", "B\0", "ÄUSDT", "BTC\n"]
)
def test_what_has_not_the_form_of_a_symbol_is_refused(symbol: str) -> None:
    with pytest.raises(TopicError, match="symbol was"):
        topics.check_symbol(symbol)


def test_topics_of_symbols_stand_together_and_none_twice() -> None:
    groups = topics.symbol_topics(
        "linear", ["BTCUSDT", "ETHUSDT", "BTCUSDT"], book=(50, 200), trades=True, kline="5"
    )
    assert groups == [
        ("orderbook.50.BTCUSDT", "orderbook.200.BTCUSDT", "publicTrade.BTCUSDT", "kline.5.BTCUSDT"),
        ("orderbook.50.ETHUSDT", "orderbook.200.ETHUSDT", "publicTrade.ETHUSDT", "kline.5.ETHUSDT"),
    ]


def test_option_trades_come_by_base_coin_once() -> None:
    symbols = ["BTC-25DEC26-90000-C", "BTC-25DEC26-95000-C", "ETH-28FEB27-2800-P"]
    groups = topics.symbol_topics("option", symbols, book=25, trades=True)
    assert groups == [
        ("orderbook.25.BTC-25DEC26-90000-C", "publicTrade.BTC"),
        ("orderbook.25.BTC-25DEC26-95000-C",),
        ("orderbook.25.ETH-28FEB27-2800-P", "publicTrade.ETH"),
    ]


def test_a_text_instead_of_a_list_of_symbols_is_refused() -> None:
    with pytest.raises(TopicError, match=r"give a list: \['BTCUSDT'\]"):
        topics.symbol_topics("linear", "BTCUSDT")


def test_asking_for_nothing_is_refused() -> None:
    with pytest.raises(TopicError, match="nothing was asked for"):
        topics.symbol_topics("linear", ["BTCUSDT"], book=None)


def test_rpi_and_full_books_are_depths() -> None:
    groups = topics.symbol_topics("spot", ["BTCUSDT"], book=[50, "rpi", "full"], price_limits=True)
    assert groups == [
        ("orderbook.50.BTCUSDT", "orderbook.rpi.BTCUSDT", "orderbook.full.BTCUSDT", "priceLimit.BTCUSDT")
    ]
    assert topics.depths("spot") == (1, 50, 200, 1000)


@pytest.mark.parametrize(
    ("topic", "snapshot", "rest"),
    [
        ("orderbook.50.X", True, False),
        ("orderbook.rpi.X", True, False),
        ("orderbook.full.X", False, True),
        ("tickers.X", True, False),
        ("priceLimit.X", False, False),
    ],
)
def test_how_a_topic_begins(topic: str, snapshot: bool, rest: bool) -> None:
    parts = topics.parse("spot", topic)
    assert (parts.starts_with_snapshot, parts.begins_with_rest) == (snapshot, rest)
