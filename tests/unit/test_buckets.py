"""The venue's allowance by endpoint: kept on this side, corrected by its headers."""

import random

import pytest

from engine.bybit.buckets import WINDOW_MS, Buckets


@pytest.mark.parametrize(
    ("endpoint", "category", "limit"),
    [
        ("order/create", "linear", 10),
        ("order/create", "spot", 20),
        ("order/amend", "spot", 10),
        ("order/cancel-all", "option", 1),
        ("order/realtime", "linear", 50),
        ("something/new", "linear", 10),
    ],
)
def test_a_second_takes_as_many_as_the_venue_allows(endpoint: str, category: str, limit: int) -> None:
    buckets = Buckets()
    for _ in range(limit):
        assert buckets.wait_ms(endpoint, category, 5_000) == 0
        buckets.take(endpoint, category, 5_000)
    assert buckets.wait_ms(endpoint, category, 5_000) == WINDOW_MS
    assert buckets.wait_ms(endpoint, category, 5_999) == 1
    assert buckets.wait_ms(endpoint, category, 6_000) == 0
    assert buckets.wait_ms(endpoint, "inverse", 5_000) == 0


def test_a_batch_takes_a_unit_an_order_and_of_options_one() -> None:
    buckets = Buckets()
    buckets.take("order/create-batch", "linear", 0, orders=8)
    assert buckets.wait_ms("order/create-batch", "linear", 0, orders=2) == 0
    assert buckets.wait_ms("order/create-batch", "linear", 0, orders=3) == WINDOW_MS
    for _ in range(10):
        assert buckets.wait_ms("order/create-batch", "option", 0, orders=20) == 0
        buckets.take("order/create-batch", "option", 0, orders=20)
    assert buckets.wait_ms("order/create-batch", "option", 0, orders=1) == WINDOW_MS


def test_a_batch_larger_than_the_allowance_goes_alone() -> None:
    buckets = Buckets()
    assert buckets.wait_ms("order/create-batch", "linear", 0, orders=20) == 0
    buckets.take("order/create-batch", "linear", 0, orders=20)
    assert buckets.wait_ms("order/create-batch", "linear", 10, orders=1) == WINDOW_MS - 10


def test_the_header_tells_the_true_allowance() -> None:
    buckets = Buckets()
    buckets.heard("order/create", "linear", 2)
    buckets.take("order/create", "linear", 0, orders=2)
    assert buckets.wait_ms("order/create", "linear", 0) == WINDOW_MS
    buckets.heard("order/create", "linear", 0)
    assert buckets.wait_ms("order/create", "linear", 0) == WINDOW_MS


def test_nothing_goes_before_the_reset_that_a_refusal_told() -> None:
    buckets = Buckets()
    buckets.exhausted("order/create", "linear", 7_500)
    buckets.exhausted("order/create", "linear", 7_000)
    assert buckets.wait_ms("order/create", "linear", 5_000) == 2_500
    assert buckets.wait_ms("order/create", "linear", 7_500) == 0


@pytest.mark.parametrize("seed", range(5))
def test_no_second_ever_has_more_than_the_allowance(seed: int) -> None:
    rng, buckets, now, sent = random.Random(seed), Buckets(), 0, []
    for _ in range(500):
        orders = rng.randint(1, 10)
        now += buckets.wait_ms("order/create-batch", "linear", now, orders)
        assert buckets.wait_ms("order/create-batch", "linear", now, orders) == 0
        buckets.take("order/create-batch", "linear", now, orders)
        sent += [now] * orders
        assert sum(1 for at in sent if at > now - WINDOW_MS) <= 10
        now += rng.randint(0, 200)
