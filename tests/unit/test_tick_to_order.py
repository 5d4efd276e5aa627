"""The benchmark of the fast path: what it checks before it times, and that it runs."""

import json

import pytest

from benchmarks import native, stream, tick_to_order
from benchmarks.harness import BenchmarkError, spawn

QTY = "0.010"


def orders(given: stream.Stream) -> list[str]:
    return [
        json.dumps(
            {"reqId": f"r{at}", "args": [{"symbol": "BTCUSDT", "side": "Buy", "qty": QTY, "price": str(bid)}]}
        )
        for at, (bid, _) in enumerate(given.best)
    ]


def test_orders_at_the_best_bid_pass() -> None:
    given = stream.generate(50, 20)
    tick_to_order.check("it", orders(given), given, QTY)


@pytest.mark.parametrize(("find", "put"), [("Buy", "Sell"), ('"r7"', '"r6"'), (QTY, "0.011"), ("BTC", "ETH")])
def test_an_order_that_is_not_is_no_time(find: str, put: str) -> None:
    given = stream.generate(50, 20)
    wrong = orders(given)
    wrong[7] = wrong[7].replace(find, put)
    with pytest.raises(BenchmarkError):
        tick_to_order.check("it", wrong, given, QTY)
    with pytest.raises(BenchmarkError):
        tick_to_order.check("it", orders(given)[1:], given, QTY)


def test_every_trader_answers_each_frame() -> None:
    native.build()
    found = spawn("tick_to_order", {"messages": 30, "traders": ["echo", "cython", "python"]})
    assert set(found) == {"echo", "cython", "python"}
    assert found["echo"]["over_echo_us"] == 0
    assert all(one["p50_us"] > 0 for one in found.values())
