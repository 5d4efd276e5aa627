"""The simulator's frames against the venue's: own fixtures of every shape, and real captures."""

from functools import cache
from typing import Any

import orjson
import pytest

from simulator.differ import compare, kind, read_frames
from simulator.instruments import listings
from simulator.memory import START_NS, MemoryConnection, MemoryVenue
from tests.support.captures import FOLDER, capture

FIXTURES = FOLDER.parent / "bybit" / "fixtures.jsonl"
PLAIN = ("orderbook.1", "orderbook.50", "orderbook.200", "orderbook.1000", "orderbook.rpi")
COMMON = (*PLAIN, "publicTrade", "tickers", "kline.1", "priceLimit")
TOPICS = {
    "linear": (*COMMON, "allLiquidation"),
    "inverse": (*COMMON, "allLiquidation"),
    "spot": (*COMMON, "orderbook.full"),
    "option": ("orderbook.25", "orderbook.100", "tickers"),
    "spread": ("orderbook.25", "publicTrade", "tickers"),
}
SYMBOLS = {
    "linear": "SOLUSDT",
    "inverse": "BTCUSD",
    "spot": "SOLUSDT",
    "option": "BTC-25DEC26-90000-C",
    "spread": "SOLUSDT_SOL/USDT",
}
COINS = {
    "linear": ("insurance.USDT", "adlAlert.USDT"),
    "inverse": ("insurance.inverse", "adlAlert.inverse"),
    "option": ("publicTrade.BTC",),
}
SAMPLES = (
    '{"topic":"insurance.USDT","type":"delta","ts":1,"data":[{"coin":"USDT","symbols":"AUSDT","balance":"1.2",'
    '"updateTime":"1"}]}',
    '{"topic":"insurance.USDT","type":"snapshot","ts":1,"data":[{"coin":"USDT","symbols":"AUSDT","balance":"1.2",'
    '"updateTime":"1"}]}',
    '{"topic":"adlAlert.USDT","type":"snapshot","ts":1,"data":[{"c":"USDT","s":"AUSDT","b":-5.2,"mb":"",'
    '"i_pr":-0.3,"pr":0,"adl_tt":10000,"adl_sr":-0.25}]}',
    '{"topic":"priceLimit.AUSDT","data":{"symbol":"AUSDT","buyLmt":"9","sellLmt":"8"},"ts":1}',
    '{"topic":"orderbook.rpi.AUSDT","ts":1,"type":"delta","data":{"s":"AUSDT","b":[["1","0","2"]],'
    '"a":[["1","0","2"]],"u":1,"seq":1},"cts":1}',
    '{"topic":"kline.5.AUSDT","data":[{"start":1,"end":2,"interval":"5","open":"1","close":"1","high":"1",'
    '"low":"1","volume":"1","turnover":"1","confirm":false,"timestamp":1}],"ts":1,"type":"snapshot"}',
    '{"topic":"allLiquidation.AUSDT","type":"snapshot","ts":1,"data":[{"T":1,"s":"A","S":"Sell","v":"1","p":"1"}]}',
)
"""Own examples of the shapes that the fixtures lack."""


@cache
def sent(category: str) -> list[dict[str, Any]]:
    """Return what a connection gets from the simulator: data of all topics, acks, refusals, a pong."""
    symbol = SYMBOLS[category]
    venue = MemoryVenue(listings(f"{category}:{symbol}"), rate=200.0, lap_steps=600)
    client = venue.connect(f"/v5/public/{category}")
    assert isinstance(client, MemoryConnection)
    topics = [*(f"{topic}.{symbol}" for topic in TOPICS[category]), *COINS.get(category, ())]
    for number in range(0, len(topics), 10):
        _send(client, "subscribe", *topics[number : number + 10])
    _send(client, "subscribe", topics[0])
    _send(client, "subscribe", "orderbook.500.SOLUSDT", *(topics[:1] if category == "option" else ()))
    _send(client, "subscribe", *["orderbook.50.NONE"] * 11)
    _send(client, "ping")
    venue.advance(START_NS + 8_000_000_000)
    return [orjson.loads(item) for _, item in client.take() if isinstance(item, bytes)]


def _send(client: MemoryConnection, op: str, *args: str) -> None:
    client.send(orjson.dumps({"op": op, "req_id": "1", "args": args} if args else {"op": op}))


def test_every_topic_of_every_category_sends_something() -> None:
    for category, kinds in TOPICS.items():
        topics = {message.get("topic") for message in sent(category)}
        expected = {f"{kind}.{SYMBOLS[category]}" for kind in kinds} | set(COINS.get(category, ()))
        assert expected <= topics, category


@pytest.mark.parametrize("category", ["linear", "inverse"])
def test_against_samples_of_other_shapes(category: str) -> None:
    samples = [orjson.loads(sample) for sample in SAMPLES]
    found = compare(samples, sent(category))
    assert found == {one: [] for one in {kind(sample) for sample in samples}}


@pytest.mark.parametrize(("category", "of"), [("inverse", "linear"), ("linear", "inverse")])
def test_inverse_has_the_shapes_of_linear(category: str, of: str) -> None:
    found = compare(sent(of), sent(category))
    assert len(found) > 15
    assert found == {one: [] for one in found}


def test_against_the_fixtures_of_options() -> None:
    _skip_without_fixtures()
    expected = {"publicTrade snapshot", "no op answered", "pong answered"}
    whole = [one for one in sent("option") if one.get("success") is not False]
    messages = [one for one in whole if one.get("type") != "COMMAND_RESP" or one["data"]["failTopics"]]
    assert compare(read_frames(FIXTURES, "option"), messages) == {one: [] for one in expected}


def _skip_without_fixtures() -> None:
    if not FIXTURES.exists():
        pytest.skip(f"{FIXTURES.name} is not on this machine (it lies beside the captures, in bybit/)")


@pytest.mark.parametrize("category", ["linear", "spot"])
def test_against_the_fixtures(category: str) -> None:
    _skip_without_fixtures()
    found = compare(read_frames(FIXTURES, category), sent(category))
    if category == "linear":
        # the fixture's ticker has a few fields in an order of its own; the capture below holds them all
        found["tickers"] = [line for line in found["tickers"] if not line.startswith("frame.data")]
    expected = {
        "tickers",
        "publicTrade snapshot",
        "orderbook.1 snapshot",
        "subscribe answered",
        "subscribe refused",
    }
    if category == "spot":
        expected |= {"orderbook.rpi delta", "orderbook.full delta"}
    if category == "linear":
        expected -= {"orderbook.1 snapshot"}
        expected |= {"orderbook.N snapshot", "orderbook.N delta", "kline snapshot", "allLiquidation snapshot"}
        expected |= {"ping answered"}
    assert found == {one: [] for one in expected}


@pytest.mark.parametrize(
    ("category", "name"),
    [("linear", "bybit_linear_sol_doge.recv_ns.log"), ("spot", "bybit_spot_btc_orderbook50.jsonl")],
)
def test_against_a_capture(category: str, name: str) -> None:
    real = list(read_frames(capture(name)))
    found = compare(real, sent(category))
    assert found == {one: [] for one in {kind(frame) for frame in real}}


def test_against_the_samples_of_spot_books() -> None:
    samples = read_frames(capture("bybit_doc_push_samples.jsonl"))
    spot_books = [frame for frame in samples if str(frame.get("topic", "")).startswith("orderbook.50")]
    assert compare(spot_books, sent("spot")) == {"orderbook.N snapshot": [], "orderbook.N delta": []}
