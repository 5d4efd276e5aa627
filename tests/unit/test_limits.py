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
