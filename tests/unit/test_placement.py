"""Topics over connections: within the limits, symbols together, evenly, and never moved."""

import random

import pytest

from engine.bybit import limits
from engine.placement import SHARD_WEIGHT_MAX, Placement, Shard, weight


def groups(count: int, first: int = 0, book: str = "orderbook.50") -> list[list[str]]:
    return [
        [f"{book}.COIN{number:04}USDT", f"publicTrade.COIN{number:04}USDT"]
        for number in range(first, first + count)
    ]


def check(placement: Placement) -> None:
    for shard in placement.shards:
        assert shard.bytes == sum(map(limits.argument_bytes, shard.topics)) <= 21_000
        assert shard.weight == pytest.approx(sum(map(weight, shard.topics)))
        assert shard.weight <= SHARD_WEIGHT_MAX + 1e-6
        assert all(placement._homes[topic] is shard for topic in shard.topics)
    placed = [topic for shard in placement.shards for topic in shard.topics]
    assert sorted(placed) == sorted(placement.topics)


def test_a_few_symbols_share_a_connection() -> None:
    placement = Placement("linear")
    (shard,) = placement.place(groups(2))
    assert list(shard.topics) == [topic for group in groups(2) for topic in group]


def test_many_symbols_are_spread_evenly_and_stay_together() -> None:
    placement = Placement("linear")
    placement.place(groups(2000))
    check(placement)
    weights = [shard.weight for shard in placement.shards]
    assert max(weights) - min(weights) < 50
    assert all(len(shard.topics) % 2 == 0 for shard in placement.shards)
    # By weight it would be 12 connections, by bytes 6.
    assert len(placement.shards) == 12


def test_option_connections_have_2000_arguments_at_most() -> None:
    placement = Placement("option")
    placement.place([[f"T.{number}"] for number in range(2500)])
    assert sorted(len(shard.topics) for shard in placement.shards) == [1250, 1250]


def test_additions_go_to_the_lightest_connection_with_room_and_move_nothing() -> None:
    placement = Placement("linear")
    placement.place(groups(300, book="orderbook.1000"))
    placement.place(groups(300, first=1000, book="orderbook.1000"))
    before = {shard: list(shard.topics) for shard in placement.shards}
    lightest = min(placement.shards, key=lambda shard: shard.weight)
    (shard,) = placement.place(groups(1, first=5000))
    assert shard is lightest
    for old, topics in before.items():
        assert list(old.topics)[: len(topics)] == topics


def test_more_of_a_symbol_goes_where_the_symbol_is() -> None:
    placement = Placement("linear")
    placement.place(groups(400))
    home = placement._homes["publicTrade.COIN0007USDT"]
    (shard,) = placement.place([["tickers.COIN0007USDT"]])
    assert shard is home


def test_a_hot_symbol_is_alone_and_keeps_its_later_topics() -> None:
    placement = Placement("linear")
    hot = placement.place(groups(2), hot=True)
    assert [len(topics) for topics in hot.values()] == [2, 2]
    (shared,) = placement.place(groups(5, first=10))
    assert shared not in hot
    (shard,) = placement.place([["tickers.COIN0001USDT"]])
    assert shard in hot


def test_what_is_placed_is_not_placed_again() -> None:
    placement = Placement("linear")
    placement.place(groups(3))
    assert placement.place(groups(3)) == {}
    (shard,) = placement.place([[*groups(1)[0], "tickers.COIN0000USDT"]]).values()
    assert shard == ["tickers.COIN0000USDT"]


def test_an_empty_connection_is_gone() -> None:
    placement = Placement("linear")
    placement.place(groups(2), hot=True)
    removed = placement.remove([*groups(1)[0], "publicTrade.NEVERUSDT"])
    assert list(removed.values()) == [groups(1)[0]]
    assert len(placement.shards) == 1
    check(placement)


@pytest.mark.parametrize("seed", range(20))
def test_the_limits_hold_whatever_comes_and_goes(seed: int) -> None:
    chance = random.Random(seed)
    placement = Placement("linear")
    homes: dict[str, Shard] = {}
    for _ in range(30):
        books = [f"orderbook.{depth}" for depth in chance.sample([1, 50, 200, 1000], 2)]
        added = [
            group for book in books for group in groups(chance.randrange(200), chance.randrange(400), book)
        ]
        placement.place(added, hot=chance.random() < 0.1)
        present = list(placement.topics)
        placement.remove(chance.sample(present, chance.randrange(len(present) + 1)))
        check(placement)
        now = {topic: placement._homes[topic] for topic in placement.topics}
        assert all(homes[topic] is shard for topic, shard in now.items() if topic in homes)
        homes = now


def test_a_group_larger_than_a_connection_is_parted() -> None:
    placement = Placement("linear")
    group = [
        f"kline.{interval}.COIN{number:04}USDT" for number in range(500) for interval in ("1", "5", "60")
    ]
    placement.place([group])
    check(placement)
    assert sorted(placement.topics) == sorted(group)
    assert len(placement.shards) == 2
