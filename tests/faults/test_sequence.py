"""Faults of sequence: each is noticed by the next frame of its topic, and no LIVE book is ever a wrong one.

Two judges: the slow dispatcher (through `Pair`), and the true book that travels with every message.
"""

from collections.abc import Callable
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ext.book import BookState
from tests.support.frames import Market, Message
from tests.support.oracle_dispatch import LIVE
from tests.support.pair import Pair

TOPIC = "orderbook.50.BTCUSDT"

seeds = st.randoms(use_true_random=True)


def tape(market: Market, count: int) -> list[Message]:
    """A snapshot and deltas, now and then another snapshot in sequence, as after heavy churn."""
    messages = [market.snapshot()]
    while len(messages) < count:
        messages.append(market.snapshot() if market.random.random() < 0.05 else market.delta())
    return messages


def play(pair: Pair, messages: list[Message]) -> None:
    for message in messages:
        play_one(pair, message)


def play_one(pair: Pair, message: Message) -> None:
    pair.feed(message.frame)
    book = pair.book(TOPIC)
    if book is not None and book.state == BookState.LIVE:
        assert book.update_id == message.update_id
        assert dict(book.bids()) == message.bids
        assert dict(book.asks()) == message.asks


Fault = Callable[[list[Message], Market], list[Message]]


def dropped(messages: list[Message], market: Market) -> list[Message]:
    return messages[1:]


def hole(messages: list[Message], market: Market) -> list[Message]:
    return messages[market.random.randint(2, 5) :]


def reordered(messages: list[Message], market: Market) -> list[Message]:
    return [messages[1], messages[0], *messages[2:]]


FAULTS = (dropped, hole, reordered)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
@settings(max_examples=40)
@given(random=seeds)
def test_loss_and_disorder_are_noticed_by_the_next_frame(fault: Fault, random: Random) -> None:
    market, pair = Market(random, levels=8), Pair.make()
    before, after = tape(market, random.randint(1, 6)), [market.delta() for _ in range(8)]
    play(pair, before)
    assert pair.dispatcher.counters["gaps"] == 0
    faulty = fault(after, market)
    play_one(pair, faulty[0])
    assert [gap.cause for gap in pair.dispatcher.open_gaps()] == ["sequence"]
    assert pair.control.desyncs == [TOPIC]
    play(pair, faulty[1:])
    assert pair.slow.topics[TOPIC].state != LIVE
    assert pair.control.desyncs == [TOPIC]
    play(pair, [market.snapshot(), market.delta()])
    assert pair.slow.topics[TOPIC].state == LIVE
    assert pair.control.syncs[-1] == TOPIC
    assert pair.dispatcher.open_gaps() == []


@settings(max_examples=40)
@given(seeds)
def test_a_duplicate_is_counted_and_loses_nothing(random: Random) -> None:
    market, pair = Market(random, levels=8), Pair.make()
    deltas = [market.snapshot(), *(market.delta() for _ in range(6))]
    at = random.randrange(1, len(deltas))
    play(pair, [*deltas[: at + 1], *deltas[at:]])
    assert pair.dispatcher.counters["duplicates"] == 1
    assert pair.dispatcher.counters["gaps"] == 0
    assert pair.slow.topics[TOPIC].state == LIVE


@settings(max_examples=40)
@given(seeds)
def test_an_old_delta_is_noticed(random: Random) -> None:
    market, pair = Market(random, levels=8), Pair.make()
    messages = [market.snapshot(), *(market.delta() for _ in range(6))]
    play(pair, messages)
    play_one(pair, messages[random.randrange(1, 6)])
    assert [gap.cause for gap in pair.dispatcher.open_gaps()] == ["sequence"]


@settings(max_examples=40)
@given(seeds)
def test_a_stale_snapshot_leaves_a_gap_row_and_the_next_delta_notices(random: Random) -> None:
    market, pair = Market(random, levels=8), Pair.make()
    messages = [market.snapshot(), *(market.delta() for _ in range(random.randint(1, 6)))]
    play(pair, messages)
    play_one(pair, messages[0])
    assert pair.dispatcher.counters["gaps"] == 1
    assert pair.dispatcher.open_gaps() == []
    play_one(pair, market.delta())
    assert [gap.cause for gap in pair.dispatcher.open_gaps()] == ["sequence"]


@settings(max_examples=40)
@given(seeds)
def test_a_snapshot_after_a_loss_leaves_a_gap_row(random: Random) -> None:
    market, pair = Market(random, levels=8), Pair.make()
    play(pair, tape(market, 4))
    for _ in range(random.randint(1, 5)):
        market.delta()
    play(pair, [market.snapshot(), market.delta()])
    calls = [(gap.cause, gap.is_closed) for gap in pair.notes.gaps]
    assert calls == [("snapshot", False), ("snapshot", True)]
    assert pair.slow.topics[TOPIC].state == LIVE


@settings(max_examples=40)
@given(seeds)
def test_a_restart_is_a_gap_opened_and_closed_at_once(random: Random) -> None:
    market, pair = Market(random, levels=8), Pair.make()
    play(pair, tape(market, 5))
    play(pair, [market.restart(), market.delta(), market.delta()])
    calls = [(gap.cause, gap.is_closed) for gap in pair.notes.gaps]
    assert calls == [("restart", False), ("restart", True)]
    assert pair.control.desyncs == []
    assert pair.slow.topics[TOPIC].state == LIVE


@settings(max_examples=40)
@given(seeds, st.integers(0, 5))
def test_a_restart_whose_snapshot_was_lost_is_noticed(random: Random, lost_deltas: int) -> None:
    market, pair = Market(random, levels=8), Pair.make()
    play(pair, tape(market, 5))
    market.restart()
    for _ in range(lost_deltas):
        market.delta()
    play_one(pair, market.delta())
    assert [gap.cause for gap in pair.dispatcher.open_gaps()] == ["sequence"]
    assert pair.control.desyncs == [TOPIC]


def test_a_delta_with_update_id_one_is_never_trusted(random: Random) -> None:
    market, pair = Market(random, levels=8), Pair.make()
    play(pair, tape(market, 5))
    market.update_id = 0
    play_one(pair, market.delta())
    assert [gap.cause for gap in pair.dispatcher.open_gaps()] == ["restart"]
    assert pair.control.desyncs == [TOPIC]


@settings(max_examples=40)
@given(seeds)
def test_a_falling_seq_is_a_sequence_gap(random: Random) -> None:
    market, pair = Market(random, levels=8), Pair.make()
    play(pair, tape(market, 5))
    market.seq -= 100_000
    play_one(pair, market.delta())
    assert [gap.cause for gap in pair.dispatcher.open_gaps()] == ["sequence"]
    play(pair, [market.snapshot(), market.delta()])
    market.seq -= 100_000
    play(pair, [market.snapshot(), market.delta()])
    calls = [(gap.cause, gap.is_closed) for gap in pair.notes.gaps]
    assert calls == [("sequence", False), ("sequence", True)] * 2
    assert pair.slow.topics[TOPIC].state == LIVE


@settings(max_examples=40)
@given(seeds)
def test_under_warn_a_forward_jump_is_applied_with_a_gap_row(random: Random) -> None:
    market, pair = Market(random, levels=8), Pair.make(rules={50: "warn"})
    messages = [market.snapshot(), *(market.delta() for _ in range(3))]
    for message in messages:
        pair.feed(message.frame)
    missing = random.randint(1, 4)
    for _ in range(missing):
        market.delta()
    outcome = pair.feed(market.delta().frame)
    assert outcome.applied is not None or pair.slow.topics[TOPIC].open_cause == "integrity"
    first = pair.notes.gaps[0]
    assert (first.cause, first.fault, first.missing) == ("sequence", "venue", missing)
    pair.feed(messages[1].frame)
    assert pair.slow.topics[TOPIC].state != LIVE


@settings(max_examples=40)
@given(seeds)
def test_level_one_is_followed_through_repeats_and_losses(random: Random) -> None:
    market, pair = Market(random, depth=1, levels=1), Pair.make()
    repeats = 0
    for _ in range(30):
        market.delta()
        message = market.snapshot()
        if random.random() < 0.7:
            for again in range(random.choice((1, 1, 2))):
                pair.feed(message.frame)
                repeats += again
            book = pair.dispatcher.book("BTCUSDT", 1)
            assert book is not None
            assert book.state == BookState.LIVE
            assert (dict(book.bids()), dict(book.asks())) == (message.bids, message.asks)
    assert pair.dispatcher.counters["repeats"] == repeats
    assert pair.notes.gaps == []


def shaken(random: Random, market: Market, count: int) -> list[Message]:
    """A tape with faults of all kinds at random places."""
    messages = tape(market, count)
    shaken_messages: list[Message] = []
    for index, message in enumerate(messages):
        match random.randrange(24):
            case 0:
                continue
            case 1:
                shaken_messages += [message, message]
            case 2:
                shaken_messages.insert(max(len(shaken_messages) - 1, 0), message)
            case 3:
                shaken_messages += [message, messages[random.randrange(index + 1)]]
            case _:
                shaken_messages.append(message)
    if random.random() < 0.5:
        shaken_messages.append(market.restart())
        shaken_messages += [market.delta() for _ in range(5)]
        shaken_messages.insert(random.randrange(len(shaken_messages)), market.snapshot())
    return shaken_messages


@settings(max_examples=120)
@given(seeds)
def test_no_live_book_is_ever_wrong(random: Random) -> None:
    pair = Pair.make()
    play(pair, shaken(random, Market(random, levels=8), 40))


@settings(max_examples=25)
@given(seeds)
def test_a_fault_of_one_topic_touches_no_other(random: Random) -> None:
    pair = Pair.make()
    sick = shaken(random, Market(random, levels=8), 30)
    healthy_market = Market(random, symbol="ETHUSDT", depth=200, levels=8)
    healthy = [healthy_market.snapshot()]
    pair.feed(healthy[0].frame)
    for message in sick:
        play_one(pair, message)
        healthy.append(healthy_market.delta())
        pair.feed(healthy[-1].frame)
    book = pair.dispatcher.book("ETHUSDT", 200)
    assert book is not None
    assert book.state == BookState.LIVE
    assert dict(book.bids()) == healthy[-1].bids
    assert not [gap for gap in pair.notes.gaps if gap.topic != TOPIC]
