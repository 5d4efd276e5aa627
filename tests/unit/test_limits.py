"""Topics over requests and connections: within the venue's limits, nothing lost, nothing twice."""

import pytest

from engine.bybit import limits
from engine.bybit.topics import CATEGORIES


@pytest.mark.parametrize("category", CATEGORIES)
@pytest.mark.parametrize("count", [0, 1, 10, 11, 999])
def test_requests_keep_the_limits(category: str, count: int) -> None:
    topics = [f"orderbook.50.COIN{number}USDT" for number in range(count)]
    requests = list(limits.requests(category, topics))
    assert [topic for request in requests for topic in request] == topics
    for request in requests:
        assert len(request) <= limits.ARGS_PER_REQUEST_MAX[category]
        assert sum(map(limits.argument_bytes, request)) <= limits.ARGS_BYTES_PER_REQUEST_MAX


def test_connections_keep_the_limits_and_symbols_together() -> None:
    groups = [
        (f"orderbook.1000.COIN{number:04}USDT", f"publicTrade.COIN{number:04}USDT") for number in range(2000)
    ]
    connections = limits.split("linear", groups)
    assert [topic for connection in connections for topic in connection] == [
        name for group in groups for name in group
    ]
    assert all(sum(map(limits.argument_bytes, topics)) <= 21_000 for topics in connections)
    assert all(len(topics) % 2 == 0 for topics in connections)
    assert len(connections) == 6


def test_option_connections_have_2000_arguments_at_most() -> None:
    groups = [(f"T.{number}",) for number in range(2500)]
    assert [len(topics) for topics in limits.split("option", groups)] == [2000, 500]
