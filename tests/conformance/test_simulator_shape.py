"""The simulator's frames against the venue's: own fixtures of every shape, and real captures."""

import orjson
import pytest

from simulator.differ import compare, kind, read_frames
from simulator.session import Session
from simulator.switches import Switches
from tests.support.captures import FOLDER, capture
from tests.support.simulated import Played

FIXTURES = FOLDER.parent / "bybit" / "fixtures.jsonl"
TOPICS = (
    "orderbook.1",
    "orderbook.50",
    "orderbook.200",
    "orderbook.1000",
    "publicTrade",
    "tickers",
    "kline.1",
)


def sent(category: str) -> list[dict[str, object]]:
    """Return what a connection gets from the simulator: data of all topics, acks, refusals, a pong."""
    symbol = "SOLUSDT"
    topics = [f"{topic}.{symbol}" for topic in TOPICS]
    if category == "linear":
        topics.append(f"allLiquidation.{symbol}")
    session = Session(category, "c1", Switches(), {*topics, "a.b"}.__contains__, [symbol].__contains__)
    requests = [
        {"op": "subscribe", "req_id": "1", "args": topics[:2]},
        {"op": "subscribe", "req_id": "2", "args": topics[:1]},
        {"op": "subscribe", "req_id": "3", "args": ["orderbook.500.SOLUSDT"]},
        {"op": "subscribe", "req_id": "4", "args": ["a.b"] * 11},
        {"op": "ping"},
    ]
    control = [orjson.loads(session.handle(orjson.dumps(request)).reply) for request in requests]
    return control + Played(f"{category}:{symbol}", topics, 1_500, rate=200.0).outlet.messages()


@pytest.mark.parametrize("category", ["linear", "spot"])
def test_against_the_fixtures(category: str) -> None:
    if not FIXTURES.exists():
        pytest.skip(f"{FIXTURES.name} is not on this machine (it lies beside the captures, in bybit/)")
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
