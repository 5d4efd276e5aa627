"""The fused decoder against the slow one: the same books, trades and refusals, frame by frame."""

import json
from collections import Counter
from collections.abc import Iterator
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.frames import Market, book_frame, trade_frame, wild_book_message, wild_trade_message
from tests.support.oracle_decoder import BookMessage, TradeMessage
from tests.support.oracle_dispatch import LIVE
from tests.support.pair import Pair
from tests.support.spelling import (
    ORDERED_FREELY,
    PLAIN,
    TELLING_BYTES,
    WILD,
    Spelling,
    mutate,
    write,
)

LEVEL_ONE = "orderbook.1.ETHUSDT"
TOPICS = ("orderbook.50.BTCUSDT", LEVEL_ONE, "orderbook.200.SOLUSDT_SOL/USDT")
SPELLINGS = (PLAIN, ORDERED_FREELY, WILD)
FRAMES_PER_PAIR = 200
UPDATE_ID_MAX = 2**62


class Driver:
    """Feeds messages that fit the books as they stand, so that most of them are applied."""

    def __init__(
        self,
        random: Random,
        topics: tuple[str, ...] = TOPICS,
        again: float = 0.0,
        category: str = "linear",
    ) -> None:
        self.random = random
        self.category = category
        self.again = again
        self.topics = topics
        self.outcomes: Counter[str] = Counter()
        self.pair = Pair.make(category)

    def feed_book(self, spelling: Spelling, oddity: float = 0.0, damaged: bool = False) -> None:
        topic = self.random.choice(self.topics)
        entry = self.pair.slow.topics.get(topic)
        if self.pair.dispatcher.counters["frames"] >= FRAMES_PER_PAIR or (
            entry is not None and entry.update_id > UPDATE_ID_MAX
        ):
            self.pair, entry = Pair.make(self.category), None
        is_live = entry is not None and entry.state == LIVE
        if entry is not None and not is_live and oddity + damaged:
            # A base to stand on again: without it nothing after a refusal would be applied.
            self.pair.feed(book_frame_of(topic, self.random, 10))
        entry = self.pair.slow.topics.get(topic)
        update_id, seq = (10, 10) if entry is None else (entry.update_id, entry.seq)
        kind = "delta" if is_live and self.random.random() < 0.9 else "snapshot"
        message = wild_book_message(
            self.random, topic, kind, update_id + 1, min(seq, 2**60) + self.random.randint(0, 9), oddity
        )
        frame = write(self.random, message, spelling)
        self.feed(frame, damaged)
        if self.random.random() < self.again and topic != LEVEL_ONE:
            self.pair.feed(frame)

    def feed(self, frame: bytes, damaged: bool = False) -> None:
        outcome = self.pair.feed(mutate(self.random, frame) if damaged else frame)
        kind = "beyond a double" if outcome.is_beyond_double else type(outcome.decoded).__name__
        self.outcomes[kind] += 1
        self.outcomes["applied"] += outcome.applied is not None


def book_frame_of(topic: str, random: Random, update_id: int) -> bytes:
    return write(random, wild_book_message(random, topic, "snapshot", update_id, 10), PLAIN)


@settings(max_examples=100)
@given(st.randoms(use_true_random=False), st.sampled_from(SPELLINGS))
def test_every_spelling_of_a_book_message_is_read_alike(random: Random, spelling: Spelling) -> None:
    driver = Driver(random)
    for _ in range(5):
        driver.feed_book(spelling)
    assert driver.outcomes["BookMessage"] + driver.outcomes["beyond a double"] == 5


@settings(max_examples=60)
@given(st.randoms(use_true_random=False), st.sampled_from(SPELLINGS))
def test_every_spelling_of_trades_is_read_alike(random: Random, spelling: Spelling) -> None:
    driver = Driver(random)
    for _ in range(3):
        driver.feed(write(random, wild_trade_message(random), spelling))
    assert driver.outcomes["TradeMessage"] + driver.outcomes["beyond a double"] == 3


@pytest.mark.parametrize("category", ["linear", "option", "spread"])
def test_books_over_long_runs(random: Random, category: str) -> None:
    driver = Driver(random, again=0.1, category=category)
    for _ in range(2_500):
        driver.feed_book(random.choice(SPELLINGS))
    assert driver.outcomes["Refused"] == driver.outcomes["Other"] == 0
    assert driver.outcomes["applied"] > 2_000


def test_messages_with_nonsense_in_them(random: Random) -> None:
    driver = Driver(random)
    for _ in range(3_000):
        driver.feed_book(random.choice(SPELLINGS), oddity=0.4)
    assert driver.outcomes["Refused"] > 600
    assert driver.outcomes["applied"] > 600


def test_damaged_book_frames(random: Random) -> None:
    driver = Driver(random, TOPICS[:1])
    for _ in range(15_000):
        driver.feed_book(random.choice(SPELLINGS), damaged=True)
    assert driver.outcomes["Refused"] > 2_000
    assert driver.outcomes["applied"] > 800


def test_trades_with_nonsense_and_damage(random: Random) -> None:
    driver = Driver(random)
    for index in range(4_000):
        oddity, damaged = (0.5, False) if index % 2 else (0.0, True)
        frame = write(random, wild_trade_message(random, oddity), random.choice(SPELLINGS))
        driver.feed(frame, damaged)
    assert driver.outcomes["Refused"] > 800
    assert driver.outcomes["TradeMessage"] > 800


# Spelled as the venue does: the fused decoder must meet each damage itself, not hand all of them on.
BOOK = book_frame("delta", 1001, [("100.10", "0"), ("99.5", "7.5")], [("100.30", "0.001")])
TRADES = trade_frame(
    {"T": 1789999999998, "s": "BTCUSDT", "S": "Buy", "v": "0.001", "p": "100.30", "L": "PlusTick", "i": "a-1"}
    | {"BT": False, "RPI": True, "seq": 50041}
)


def small_damages(frame: bytes) -> Iterator[bytes]:
    """All that one flipped, replaced, inserted, deleted or doubled byte makes of a frame, and every cut."""
    for at in range(len(frame)):
        before, here, after = frame[:at], frame[at : at + 1], frame[at + 1 :]
        yield before
        yield before + after
        yield before + here + here + after
        for bit in range(8):
            yield before + bytes([here[0] ^ 1 << bit]) + after
        for byte in TELLING_BYTES[::2]:
            yield before + bytes([byte]) + after
        for byte in TELLING_BYTES[1::2]:
            yield before + bytes([byte]) + here + after
    yield frame + b"\x00"
    yield frame + frame


@pytest.mark.parametrize("frame", [BOOK, TRADES], ids=["book", "trades"])
def test_every_small_damage_of_one_frame(frame: bytes) -> None:
    base = book_frame("snapshot", 1000, [("100.20", "3.0"), ("100.10", "1.5")], [("100.30", "2.0")])
    pair = Pair.make()
    kinds: Counter[type] = Counter()
    for index, damaged in enumerate(small_damages(frame)):
        if index % FRAMES_PER_PAIR == 0:
            pair = Pair.make()
        if frame is BOOK:
            pair.feed(base)
        kinds[type(pair.feed(damaged).decoded)] += 1
    assert kinds[BookMessage if frame is BOOK else TradeMessage] > 300


def test_plain_numbers_of_every_length(random: Random) -> None:
    for whole in range(1, 20):
        for decimals in range(20 - whole):
            digits = "".join(random.choices("0123456789", k=whole + decimals))
            text = f"{digits[:whole]}.{digits[whole:]}" if decimals else digits
            pair = Pair.make()
            pair.feed(book_frame("snapshot", 10, [("0", text)], [(text, "1"), ("-" + text, "0")]))
            pair.feed(trade_frame({"T": 1, "s": "X", "S": "Buy", "v": text, "p": "-" + text, "i": "1"}))


@pytest.mark.parametrize("size", range(1, 24))
def test_integers_of_every_length(random: Random, size: int) -> None:
    text = str(random.randrange(10 ** (size - 1), 10**size))
    plain = book_frame("snapshot", 999, [], [], seq=777, ts_ms=1_790_000_000_003)
    for place in (b"999", b"777", b"1790000000003", b"1790000000000"):
        assert plain.count(place) == 1
        Pair.make().feed(plain.replace(place, text.encode()))
        Pair.make().feed(plain.replace(place, b"0" + text.encode()))


@pytest.mark.parametrize("has_ts_first", [False, True], ids=["linear", "spot"])
def test_what_the_venue_sends_needs_no_fallback(random: Random, has_ts_first: bool) -> None:
    market, pair = Market(random), Pair.make()
    trade = {"T": 1, "s": "BTCUSDT", "S": "Sell", "v": "0.5", "p": "100.3", "i": "2290000000000000001"}
    for index in range(100):
        for frame in ((market.delta() if index else market.snapshot()).frame, trade_frame(trade, trade)):
            message = json.loads(frame)
            if has_ts_first:
                message = {"topic": message.pop("topic"), "ts": message.pop("ts"), **message}
            message["new"] = random.choice((1, None, True, "text"))
            pair.feed(write(random, message, PLAIN))
    assert pair.slow.counters["book_messages"] == pair.slow.counters["trade_messages"] == 100
    assert pair.dispatcher.counters["fallback"] == 0


@pytest.mark.parametrize(
    ("plain", "odd"),
    [
        (b'"BTCUSDT"', rb'"\u0042TCUSDT"'),
        (b'"data"', rb'"\u0064ata"'),
        (b'["1","1"]', b'["1e0","100e-2"]'),
        (b'"cts"', b'"x":{"y":[1,-2.5e3]},"cts"'),
        (b'{"topic"', b' \r\n{"topic"'),
    ],
)
def test_what_only_the_fallback_reads_is_counted(plain: bytes, odd: bytes) -> None:
    pair = Pair.make()
    frame = book_frame("snapshot", 10, [("1", "1")], [("2", "1")])
    assert plain in frame
    assert pair.feed(frame.replace(plain, odd)).applied is not None
    assert pair.dispatcher.counters["fallback"] == 1


@pytest.mark.parametrize(("update_id", "seq"), [(1, 9), (5, 8)])
def test_a_restart_and_a_falling_seq_are_judged_before_a_duplicate(update_id: int, seq: int) -> None:
    pair = Pair.make()
    pair.feed(book_frame("snapshot", update_id, [("1", "1")], [("2", "1")], seq=9))
    pair.feed(book_frame("delta", update_id, [("1", "1")], [], seq=seq))
    assert pair.dispatcher.counters["duplicates"] == 0


@pytest.mark.parametrize(
    ("once", "twice"),
    [
        (b'"cts"', b'"data":[],"cts"'),
        (b'"cts"', b'"data":null,"cts"'),
        (b'"cts"', b'"topic":"orderbook.50.ETHUSDT","cts"'),
        (b'"cts"', b'"topic":"publicTrade.BTCUSDT","cts"'),
        (b'"cts"', b'"type":"delta","cts"'),
        (b'"cts"', b'"ts":1,"cts"'),
        (b'"cts"', b'"ts":1.5,"cts"'),
        (b'{"topic"', b'{"topic":5,"topic"'),
        (b'"u"', b'"u":"x","u"'),
        (b'"seq"', b'"u":12,"seq"'),
        (b'"seq"', b'"u":"x","seq"'),
        (b'"seq"', b'"b":[["3","1"]],"seq"'),
        (b'"seq"', b'"s":"ETHUSDT","seq"'),
    ],
)
def test_of_two_members_with_one_name_the_last_counts(once: bytes, twice: bytes) -> None:
    frame = book_frame("snapshot", 10, [("1", "1")], [("9", "1")])
    assert frame.count(once) == 1
    Pair.make().feed(frame.replace(once, twice))
