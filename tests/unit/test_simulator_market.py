"""The generated market as a client sees it: books that hold, numbers that never go back."""

import itertools
from decimal import Decimal
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.book import changes
from simulator.instruments import listings
from simulator.memory import MemoryConnection, MemoryVenue
from simulator.topics import DEPTHS, FULL, RPI, Depth
from tests.support.simulated import Played

STEPS_OF_A_SHORT_LAP = 120
MARKETS = (
    ("linear:BTCUSDT", 1),
    ("linear:DOGEUSDT", 3),
    ("spot:ETHUSDT", 2),
    ("inverse:BTCUSD", 4),
    ("option:BTC-25DEC26-90000-C", 5),
    ("spread:SOLUSDT_SOL/USDT", 6),
)
BOOKS = [
    (symbol, seed, depth)
    for symbol, seed in MARKETS
    for depth in DEPTHS[symbol.partition(":")[0]]
    if depth != FULL
]


class ClientBook:
    """The book of protocol rules: a snapshot replaces, a delta overwrites, size zero deletes."""

    def __init__(self) -> None:
        self.sides: tuple[dict[str, Any], dict[str, Any]] = ({}, {})

    def apply(self, message: dict[str, Any]) -> None:
        data = message["data"]
        if message["type"] == "snapshot":
            self.sides = ({}, {})
        for side, rows in zip(self.sides, (data["b"], data["a"]), strict=True):
            for price, *sizes in rows:
                if any(map(Decimal, sizes)):
                    side[price] = sizes[0] if len(sizes) == 1 else tuple(sizes)
                else:
                    assert price in side, f"deleted a level that was not there: {price}"
                    del side[price]

    def best(self) -> tuple[Decimal, Decimal]:
        bids, asks = self.sides
        return max(map(Decimal, bids)), min(map(Decimal, asks))


@pytest.mark.parametrize(("symbol", "seed", "depth"), BOOKS)
def test_client_book_equals_the_window_at_every_message(symbol: str, seed: int, depth: Depth) -> None:
    topic = f"orderbook.{depth}.{symbol.split(':')[1]}"
    more_than_a_lap = 3 * STEPS_OF_A_SHORT_LAP
    played = Played(symbol, [topic], more_than_a_lap, seed)
    book, last = ClientBook(), None
    for message in played.of(topic):
        book.apply(message)
        assert [len(side) for side in book.sides] == [50 if depth == RPI else depth] * 2
        bid, ask = book.best()
        assert bid < ask
        data = message["data"]
        if last is not None:
            assert data["u"] == last["u"] + 1
            assert data["seq"] > last["seq"]
        assert message["ts"] >= message["cts"]
        last = data
    window, numbers = played.source.book(played.category, played.symbol, depth) or pytest.fail("no book")
    assert book.sides == (window.bids, window.asks)
    assert numbers["u"] == last["u"]
    assert numbers["seq"] == last["seq"]
    assert list(map(Decimal, window.bids)) == sorted(map(Decimal, window.bids), reverse=True)
    assert list(map(Decimal, window.asks)) == sorted(map(Decimal, window.asks))


@pytest.mark.parametrize("depth", DEPTHS["linear"])
def test_late_subscription_begins_with_the_window_of_the_moment(depth: Depth) -> None:
    early = f"orderbook.{depth}.BTCUSDT"
    played = Played("linear:BTCUSDT", [early], 97)
    book = ClientBook()
    for message in played.of(early):
        book.apply(message)
    (opening,) = played.source.opening("linear", early)
    snapshot = orjson.loads(opening)
    again = ClientBook()
    again.apply(snapshot)
    assert snapshot["type"] == "snapshot"
    assert snapshot["data"]["u"] == played.of(early)[-1]["data"]["u"]
    assert again.sides == book.sides


def test_messages_carry_about_as_many_changes_as_the_venues() -> None:
    topics = [f"orderbook.{depth}.BTCUSDT" for depth in (50, 200, 1000)]
    played = Played("linear:BTCUSDT", topics, 600)
    for topic, expected in zip(topics, (11, 19, 29), strict=True):
        deltas = [message["data"] for message in played.of(topic) if message["type"] == "delta"]
        mean = sum(len(data["b"]) + len(data["a"]) for data in deltas) / len(deltas)
        assert 0.7 * expected < mean < 1.35 * expected, topic


def test_seq_is_shared_by_depths_and_trades_and_never_goes_back() -> None:
    played = Played("linear:BTCUSDT", ["orderbook.50.BTCUSDT", "publicTrade.BTCUSDT"], 500)
    seqs: list[int] = []
    for message in played.outlet.messages():
        data = message["data"]
        seqs += [data["seq"]] if isinstance(data, dict) else [trade["seq"] for trade in data]
    assert seqs == sorted(seqs)


def test_trades_take_the_best_price_and_have_unique_ids() -> None:
    played = Played("linear:BTCUSDT", ["orderbook.1.BTCUSDT", "publicTrade.BTCUSDT"], 600)
    ids: set[str] = set()
    best: dict[str, Decimal] = {}
    for message in played.outlet.messages():
        if message["topic"].startswith("orderbook"):
            ((bid, _),), ((ask, _),) = message["data"]["b"], message["data"]["a"]
            best = {"Sell": Decimal(bid), "Buy": Decimal(ask)}
            continue
        first = message["data"][0]
        assert Decimal(first["p"]) == best[first["S"]]
        for trade in message["data"]:
            assert trade["i"] not in ids
            ids.add(trade["i"])
    assert len(ids) > 100


@pytest.mark.parametrize("symbol", ["linear:BTCUSDT", "spot:ETHUSDT"])
def test_tick_directions_and_klines_follow_the_trades(symbol: str) -> None:
    name = symbol.split(":")[1]
    played = Played(symbol, [f"publicTrade.{name}"], 150)
    trades = [trade for message in played.of(f"publicTrade.{name}") for trade in message["data"]]
    for before, after in itertools.pairwise(trades):
        step = Decimal(after["p"]) - Decimal(before["p"])
        if played.category == "linear" and step:
            assert after["L"] == ("PlusTick" if step > 0 else "MinusTick")
        elif played.category == "linear":
            assert after["L"].startswith("Zero")
    (candle,) = played.source.candles(played.category, name, "D")
    assert Decimal(candle["volume"]) == sum(Decimal(trade["v"]) for trade in trades)
    assert Decimal(candle["turnover"]) == sum(Decimal(trade["v"]) * Decimal(trade["p"]) for trade in trades)
    assert Decimal(candle["close"]) == Decimal(trades[-1]["p"])
    assert Decimal(candle["high"]) >= max(Decimal(trade["p"]) for trade in trades)
    rest = played.source.trades(played.category, name)
    assert [trade["execId"] for trade in rest] == [trade["i"] for trade in reversed(trades)]
    assert [trade["seq"] for trade in rest] == [str(trade["seq"]) for trade in reversed(trades)]


def test_linear_ticker_deltas_rebuild_the_ticker() -> None:
    played = Played("linear:BTCUSDT", ["tickers.BTCUSDT", "orderbook.50.BTCUSDT"], 100, rate=100.0)
    messages = played.of("tickers.BTCUSDT")
    assert [message["type"] for message in messages] == ["snapshot"] + ["delta"] * (len(messages) - 1)
    assert len(messages) >= 3
    fields = dict(messages[0]["data"])
    for message in messages[1:]:
        assert len(message["data"]) < len(fields)
        fields.update(message["data"])
    assert fields.keys() == played.source.ticker("linear", "BTCUSDT").keys()
    assert {"bid1Price", "bid1Size"} <= messages[1]["data"].keys()


@pytest.mark.parametrize("repeat", ["old", "new"])
@pytest.mark.parametrize("category", ["linear", "spot"])
def test_level_1_is_repeated_after_three_seconds(category: str, repeat: str) -> None:
    topic = "orderbook.1.BTCUSDT"
    messages = Played(f"{category}:BTCUSDT", [topic], 10, rate=0.2, level1_repeat=repeat).of(topic)
    pairs = list(itertools.pairwise(messages))
    repeats = [(before, after) for before, after in pairs if after["data"]["u"] == before["data"]["u"]]
    assert repeats
    for before, after in repeats:
        assert after["ts"] - before["ts"] == 3_000
        assert after["data"]["b"] == before["data"]["b"]
        assert (after["cts"] == before["cts"]) == (repeat == "old")


def test_spot_need_not_repeat_level_1() -> None:
    played = Played("spot:BTCUSDT", ["orderbook.1.BTCUSDT"], 10, rate=0.2, spot_level1_repeat="off")
    us = [message["data"]["u"] for message in played.of("orderbook.1.BTCUSDT")]
    assert len(set(us)) == len(us)


def test_level_1_may_jump_over_numbers() -> None:
    played = Played("linear:BTCUSDT", ["orderbook.1.BTCUSDT"], 100, level1_u="jumps")
    us = [message["data"]["u"] for message in played.of("orderbook.1.BTCUSDT")]
    assert {after - before for before, after in itertools.pairwise(us)} == {1, 2, 3}


def test_same_seed_same_bytes() -> None:
    topics = [
        "orderbook.50.BTCUSDT",
        "orderbook.1.BTCUSDT",
        "publicTrade.BTCUSDT",
        "tickers.BTCUSDT",
        "kline.1.BTCUSDT",
    ]
    first, second, other = (Played("linear:BTCUSDT", topics, 400, seed).outlet.payloads for seed in (7, 7, 8))
    assert first == second
    assert first != other


def test_numbers_are_spelled_as_each_category_does() -> None:
    linear = Played("linear:SOLUSDT", ["orderbook.50.SOLUSDT"], 1).of("orderbook.50.SOLUSDT")[0]["data"]
    assert {len(price.partition(".")[2]) for price, _ in linear["b"]} == {3}
    assert {len(size.partition(".")[2]) for _, size in linear["b"]} == {1}
    spot = Played("spot:SOLUSDT", ["orderbook.50.SOLUSDT"], 1).of("orderbook.50.SOLUSDT")[0]["data"]
    texts = [text for row in spot["b"] + spot["a"] for text in row]
    assert not [text for text in texts if "." in text and text.endswith("0")]


@pytest.mark.parametrize(
    ("category", "depth", "envelope"),
    [
        ("linear", 1, ["topic", "ts", "type", "data", "cts"]),
        ("linear", 50, ["topic", "type", "ts", "data", "cts"]),
        ("linear", 1000, ["topic", "type", "ts", "data", "cts"]),
        ("spot", 1, ["topic", "ts", "type", "data", "cts"]),
        ("spot", 200, ["topic", "ts", "type", "data", "cts"]),
    ],
)
def test_the_order_of_keys_depends_on_category_and_depth(
    category: str, depth: int, envelope: list[str]
) -> None:
    topic = f"orderbook.{depth}.BTCUSDT"
    for message in Played(f"{category}:BTCUSDT", [topic], 5).of(topic):
        assert list(message) == envelope
        assert list(message["data"]) == ["s", "b", "a", "u", "seq"]


LEVELS = st.dictionaries(st.integers(1, 30), st.integers(1, 5))


@given(old=LEVELS, new=LEVELS, sign=st.sampled_from([-1, 1]))
def test_changes_turn_one_window_into_the_other(old: dict[int, int], new: dict[int, int], sign: int) -> None:
    result = dict(old)
    for price, size in changes(old, new, sign):
        assert result.get(price, 0) != size
        result[price] = size
    assert {price: size for price, size in result.items() if size} == new
    prices = [sign * price for price, _ in changes(old, new, sign)]
    assert prices == sorted(prices)


def test_rpi_sizes_come_and_go_on_prices_that_do_not_cross() -> None:
    played = Played("linear:BTCUSDT", ["orderbook.rpi.BTCUSDT", "orderbook.1.BTCUSDT"], 900)
    deltas = [message["data"] for message in played.of("orderbook.rpi.BTCUSDT")[1:]]
    rows = [row for data in deltas for row in data["b"] + data["a"]]
    assert all(len(row) == 3 for row in rows)
    assert any(row[1] == "0" and row[2] != "0" for row in rows), "a price with RPI only"
    assert any(row[1] != "0" and row[2] != "0" for row in rows)
    assert any(row[1:] == ["0", "0"] for row in rows)


def test_a_spread_has_prices_below_zero() -> None:
    played = Played("spread:SOLUSDT_SOL/USDT", ["orderbook.25.SOLUSDT_SOL/USDT"], 50)
    prices = [Decimal(price) for price, _ in played.outlet.messages()[0]["data"]["b"]]
    assert min(prices) < 0
    assert len(set(prices)) == 25


def test_options_trade_in_one_topic_a_coin() -> None:
    both = "option:BTC-25DEC26-90000-C,option:BTC-25DEC26-80000-P-USDT"
    venue = MemoryVenue(listings(both), rate=200.0, lap_steps=120)
    client = venue.connect("/v5/public/option")
    assert isinstance(client, MemoryConnection)
    client.send(b'{"op":"subscribe","args":["publicTrade.BTC"]}')
    venue.advance(venue.now_ns + 2_000_000_000)
    messages = [orjson.loads(item) for _, item in client.take() if isinstance(item, bytes)][1:]
    assert {message["topic"] for message in messages} == {"publicTrade.BTC"}
    assert {one["s"] for message in messages for one in message["data"]} == {
        "BTC-25DEC26-90000-C",
        "BTC-25DEC26-80000-P-USDT",
    }
    ids = [message["id"] for message in messages]
    assert len(set(ids)) == len(ids)
