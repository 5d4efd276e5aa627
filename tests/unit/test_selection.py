"""Selection: rules and a reading in, symbols and topics out."""

from decimal import Decimal
from typing import Any

import pytest

from engine.bybit.turnover import turnovers
from engine.errors import ConfigError, TopicError, UsageError
from engine.selection import Rule, check_listed, difference, select, topic_groups
from tests.support.instruments import instrument, listing

LINEAR = listing("linear", "BTCUSDT", "ETHUSDT", "SOLUSDT", "BTCPERP", "ETHPERP", "BTCUSDT-25DEC26") | {
    "NEWUSDT": instrument("linear", "NEWUSDT", status="PreLaunch"),
    "OLDUSDT": instrument("linear", "OLDUSDT", status="Closed"),
}
TURNOVER = {
    "BTCUSDT": Decimal(900),
    "ETHUSDT": Decimal(700),
    "SOLUSDT": Decimal(300),
    "BTCPERP": Decimal(500),
}


def rule(**fields: Any) -> Rule:
    values: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()
    }
    values.setdefault("category", "linear")
    return Rule(**values)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"symbols": ["ETHUSDT", "BTCUSDT"]}, "ETHUSDT BTCUSDT"),
        ({"symbols": ["BTC*"]}, "BTCPERP BTCUSDT BTCUSDT-25DEC26"),
        ({"symbols": ["*USDT"]}, "BTCUSDT ETHUSDT SOLUSDT"),
        ({"symbols": ["[BE]*PERP", "SOLUSDT"]}, "SOLUSDT BTCPERP ETHPERP"),
        ({"symbols": ["?OLUSDT"]}, "SOLUSDT"),
        ({"symbols": ["*"]}, "BTCPERP BTCUSDT BTCUSDT-25DEC26 ETHPERP ETHUSDT SOLUSDT"),
        ({"symbols": ["*"], "exclude": ["*PERP", "BTCUSDT-*"]}, "BTCUSDT ETHUSDT SOLUSDT"),
        ({"base": ["BTC"]}, "BTCPERP BTCUSDT BTCUSDT-25DEC26"),
        ({"settle": ["USDC"]}, "BTCPERP ETHPERP"),
        ({"base": ["ETH", "SOL"], "quote": ["USDT"]}, "ETHUSDT SOLUSDT"),
        ({"symbols": ["BTC*"], "quote": ["USDC"]}, "BTCPERP"),
        ({"symbols": ["SOLUSDT"], "quote": ["USDC"]}, "SOLUSDT BTCPERP ETHPERP"),
        ({"status": ["PreLaunch"]}, "NEWUSDT"),
        ({"top": 2}, "BTCUSDT ETHUSDT"),
        ({"top": 3, "symbols": ["ETHPERP"]}, "ETHPERP BTCUSDT ETHUSDT BTCPERP"),
        ({"top": 1, "quote": ["USDC"]}, "BTCPERP"),
        ({"symbols": ["OLDUSDT", "BTCUSDT"]}, "BTCUSDT"),
        ({"symbols": ["NEWUSDT", "BTCUSDT"]}, "BTCUSDT"),
    ],
)
def test_a_rule_selects(fields: dict[str, Any], expected: str) -> None:
    assert select(rule(**fields), LINEAR, TURNOVER) == expected.split()


def test_a_pre_listing_joins_with_its_continuous_trading() -> None:
    for phase, expected in (("CallAuction", []), ("ContinuousTrading", ["NEWUSDT"])):
        new = instrument(
            "linear", "NEWUSDT", status="PreLaunch", preListingInfo={"curAuctionPhase": phase, "phases": []}
        )
        assert select(rule(symbols=["NEW*"]), {"NEWUSDT": new}) == expected


def test_who_is_present_leaves_the_top_only_beyond_twice_the_number() -> None:
    ranks = {symbol: Decimal(-place) for place, symbol in enumerate(sorted(LINEAR))}
    order = select(rule(symbols=["*"]), LINEAR)
    assert select(rule(top=2), LINEAR, ranks, present={order[3]}) == [*order[:2], order[3]]
    assert select(rule(top=2), LINEAR, ranks, present={order[4]}) == order[:2]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"symbols": ["BTCUSTD"]}, "symbol was 'BTCUSTD', which is not among .* use BTCUSDT"),
        ({"symbols": ["OLDUSDT"]}, "OLDUSDT.*closed: take it out"),
        ({"symbols": ["DOGE*"]}, r"'DOGE\*' matches none"),
        ({"symbols": ["BTCUST*"]}, r"'BTCUST\*' matches none .*use BTCUSDT"),
        ({"symbols": ["BTCUSDT"], "depths": {"ETHUSTD": (200,)}}, "ETHUSTD.* use ETHUSDT"),
        ({"symbols": ["BTCUSDT"], "depths": {"DOGE*": (200,)}}, r"DOGE\*"),
        ({"base": ["DOGE"]}, r"left by base \['DOGE'\]"),
        ({"symbols": ["*PERP"], "exclude": ["*"]}, r"left by exclude \['\*'\]"),
    ],
)
def test_what_selects_nothing_is_an_error_at_the_start(fields: dict[str, Any], expected: str) -> None:
    with pytest.raises(TopicError, match=expected):
        check_listed(rule(**fields), LINEAR)


def test_what_waits_for_its_launch_is_no_error() -> None:
    check_listed(rule(symbols=["NEWUSDT", "BTC*"]), LINEAR)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, "nothing is selected"),
        ({"symbols": ["btcusdt"]}, "use BTCUSDT"),
        ({"symbols": ["btc*"]}, r"use BTC\*"),
        ({"symbols": ["BTC*'"]}, "a pattern has"),
        ({"symbols": ["*" * 65]}, "a pattern has"),
        ({"symbols": ["BTC\x00USDT"]}, "symbol was"),
        ({"symbols": ["BTCUSDT"], "exclude": ["BTC*"]}, "symbols names BTCUSDT"),
        ({"symbols": ["*"], "status": ["Tradin"]}, "use Trading"),
        ({"top": -1}, "top was -1"),
        ({"category": "spread", "top": 5}, "spread has no list of turnovers"),
        ({"category": "liner", "symbols": ["*"]}, "use linear"),
    ],
)
def test_a_rule_that_cannot_be(fields: dict[str, Any], expected: str) -> None:
    with pytest.raises(UsageError, match=expected):
        rule(**fields)


def test_topics_with_depths_of_their_own_and_the_companion() -> None:
    wanted = rule(
        symbols=["*"],
        depths={"BTC*": (200,), "BTCPERP": (1,), "SOLUSDT": ()},
        streams={"book": (50,), "trades": True},
        companion=True,
    )
    assert topic_groups(wanted, ["BTCUSDT", "BTCPERP", "ETHUSDT", "SOLUSDT"]) == [
        ("orderbook.200.BTCUSDT", "orderbook.1.BTCUSDT", "publicTrade.BTCUSDT"),
        ("orderbook.1.BTCPERP", "publicTrade.BTCPERP"),
        ("orderbook.50.ETHUSDT", "orderbook.1.ETHUSDT", "publicTrade.ETHUSDT"),
        ("publicTrade.SOLUSDT",),
    ]


def test_options_have_no_companion_and_share_the_trades_of_their_coin() -> None:
    wanted = rule(category="option", symbols=["*"], streams={"book": (25,), "trades": True}, companion=True)
    assert topic_groups(wanted, ["BTC-25DEC26-90000-C", "BTC-25DEC26-90000-P"]) == [
        ("orderbook.25.BTC-25DEC26-90000-C", "publicTrade.BTC"),
        ("orderbook.25.BTC-25DEC26-90000-P",),
    ]


def test_the_difference_touches_only_what_differs() -> None:
    found = difference([("a", "b"), ("c",), ("d", "a")], ["b", "x", "c"])
    assert (found.added, found.removed) == ((("a",), ("d",)), ("x",))
    assert not difference([("a",)], ["a"])


def test_a_shared_topic_outlives_the_symbol_it_stood_with() -> None:
    wanted = rule(category="option", symbols=["*"], streams={"book": (25,), "trades": True})
    first = topic_groups(wanted, ["BTC-1JAN27-1-C", "BTC-2JAN27-1-C"])
    found = difference(
        topic_groups(wanted, ["BTC-2JAN27-1-C"]), [topic for group in first for topic in group]
    )
    assert (found.added, found.removed) == ((), ("orderbook.25.BTC-1JAN27-1-C",))


def test_turnovers_are_brought_to_one_unit() -> None:
    spot = listing("spot", "BTCUSDT", "ETHBTC", "BTCEUR", "XYZZZZ")
    tickers = [
        {"symbol": "BTCUSDT", "turnover24h": "1000", "lastPrice": "50000"},
        {"symbol": "ETHBTC", "turnover24h": "2", "lastPrice": "0.05"},
        {"symbol": "BTCEUR", "turnover24h": "300", "lastPrice": "45000"},
        {"symbol": "USDTEUR", "turnover24h": "1", "lastPrice": "0.8"},
    ]
    assert turnovers("spot", tickers, spot) == {
        "BTCUSDT": Decimal(1000),
        "ETHBTC": Decimal(100_000),
        "BTCEUR": Decimal(375),
        "XYZZZZ": Decimal(0),
    }
    inverse = listing("inverse", "BTCUSD")
    rows = [{"symbol": "BTCUSD", "turnover24h": "3", "volume24h": "90000"}]
    assert turnovers("inverse", rows, inverse) == {"BTCUSD": Decimal(90_000)}
    nonsense: list[dict[str, Any]] = [{"symbol": "BTCUSD", "volume24h": "NaN"}, {"symbol": None}, {}]
    assert turnovers("inverse", nonsense, inverse) == {"BTCUSD": Decimal(0)}
    with pytest.raises(ConfigError, match="spread cannot be ranked"):
        turnovers("spread", [], {})
