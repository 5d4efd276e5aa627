"""`OrderBook` against two sorted dictionaries of decimals, under random operations."""

from decimal import Decimal
from random import Random
from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from ext.book import BookState, OrderBook
from tests.support.compare import compare_books
from tests.support.frames import respell
from tests.support.oracle_book import SlowBook, TooManyDigitsError
from tests.support.oracle_fixed import parse

DEPTH = 1000

# Bids below zero, asks above, so that no operation crosses the book; few prices, so that they meet again.
numbers = st.tuples(st.integers(1, 60), st.integers(0, 3))
sizes = st.one_of(st.just((0, 0)), st.just((0, 2)), st.tuples(st.integers(1, 10**6), st.integers(0, 4)))
levels = st.lists(st.tuples(numbers, sizes), max_size=12)


class Operation(NamedTuple):
    is_snapshot: bool
    bids: list[tuple[str, str]]
    asks: list[tuple[str, str]]


@st.composite
def operations(draw: st.DrawFn) -> list[Operation]:
    random = draw(st.randoms(use_true_random=True))
    drawn = draw(st.lists(st.tuples(st.integers(0, 9), levels, levels), min_size=1, max_size=12))
    return [
        Operation(index == 0 or kind == 0, texts(random, bids, -1), texts(random, asks, 1))
        for index, (kind, bids, asks) in enumerate(drawn)
    ]


def texts(
    random: Random, side: list[tuple[tuple[int, int], tuple[int, int]]], sign: int
) -> list[tuple[str, str]]:
    return [(respell(random, sign * price[0], price[1]), respell(random, *size)) for price, size in side]


def apply(book: OrderBook, slow: SlowBook, operation: Operation, update_id: int) -> None:
    change = [[(parse(price), parse(size)) for price, size in side] for side in operation[1:]]
    if operation.is_snapshot:
        book.snapshot(operation.bids, operation.asks, update_id=update_id, seq=update_id)
        slow.snapshot(*change)
    else:
        book.delta(operation.bids, operation.asks, update_id=update_id, seq=update_id)
        slow.delta(*change)


def compare(book: OrderBook, slow: SlowBook) -> None:
    compare_books(book, slow.bids, slow.asks)
    assert (book.price_scale, book.size_scale) == (slow.price_scale, slow.size_scale)
    for depth in (0, 1, 3, 1000):
        assert book.checksum(depth) == slow.checksum(depth), slow.text(depth)
        assert book.bids(depth) == slow.bids[: depth or None]
        assert book.asks(depth) == slow.asks[: depth or None]


@settings(max_examples=250)
@given(operations())
def test_book_equals_sorted_dictionaries_after_every_operation(sequence: list[Operation]) -> None:
    book, slow = OrderBook("linear", "BTCUSDT", DEPTH), SlowBook(DEPTH)
    for update_id, operation in enumerate(sequence, start=1):
        apply(book, slow, operation, update_id)
        assert book.update_id == book.seq == update_id
        compare(book, slow)


@settings(max_examples=100)
@given(operations(), st.integers(0, 6), st.integers(0, 6))
def test_scales_change_no_value(sequence: list[Operation], price_scale: int, size_scale: int) -> None:
    plain = OrderBook("linear", "BTCUSDT", DEPTH)
    wide = OrderBook("linear", "BTCUSDT", DEPTH, price_scale, size_scale)
    slow, slow_wide = SlowBook(DEPTH), SlowBook(DEPTH, price_scale, size_scale)
    for update_id, operation in enumerate(sequence, start=1):
        apply(plain, slow, operation, update_id)
        apply(wide, slow_wide, operation, update_id)
        compare(wide, slow_wide)
        assert plain == wide
        assert plain.checksum() == wide.checksum()


@settings(max_examples=50)
@given(operations())
def test_a_copy_is_independent(sequence: list[Operation]) -> None:
    book, slow = OrderBook("linear", "BTCUSDT", DEPTH), SlowBook(DEPTH)
    copies: list[tuple[OrderBook, list[tuple[Decimal, Decimal]], list[tuple[Decimal, Decimal]]]] = []
    for update_id, operation in enumerate(sequence, start=1):
        apply(book, slow, operation, update_id)
        kept = book.copy()
        assert kept == book
        copies.append((kept, slow.bids, slow.asks))
    for update_id, (kept, bids, asks) in enumerate(copies, start=1):
        compare_books(kept, bids, asks)
        assert kept.update_id == update_id


@settings(max_examples=100)
@given(st.integers(0, 10**18 - 1), st.integers(0, 18), st.integers(0, 18))
def test_widening_is_exact_or_the_book_is_not_live(mantissa: int, scale: int, finer: int) -> None:
    book, slow = OrderBook("linear", "BTCUSDT", DEPTH), SlowBook(DEPTH)
    coarse, fine = f"{mantissa}e-{scale}", f"1e-{finer}"
    apply(book, slow, Operation(True, [], [(coarse, "1")]), 1)
    try:
        slow.delta([], [(parse(fine), (1, 0))])
    except TooManyDigitsError:
        book.delta([], [(fine, "1")], update_id=2)
        assert book.state == BookState.STALE
    else:
        book.delta([], [(fine, "1")], update_id=2)
        assert book.state == BookState.LIVE
        compare(book, slow)
