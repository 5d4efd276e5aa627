"""`OrderBook` used by hand: levels, scales, checksum, equality."""

import zlib
from decimal import Decimal

import pytest

from ext.book import BookState, OrderBook

BIDS = [("77.30", "1347.2"), ("77.20", "3"), ("77.10", "0.5")]
ASKS = [("77.40", "10"), ("100", "2.50")]


@pytest.fixture
def book() -> OrderBook:
    book = OrderBook("linear", "SOLUSDT", 50)
    book.snapshot(BIDS, ASKS, update_id=7, seq=70, ts_ms=1001, cts_ms=1000)
    return book


def pairs(*levels: tuple[str, str]) -> list[tuple[Decimal, Decimal]]:
    return [(Decimal(price), Decimal(size)) for price, size in levels]


def test_new_book_is_empty() -> None:
    book = OrderBook("spot", "BTCUSDT", 200, 2, 6)
    assert book.state == BookState.EMPTY
    assert (book.category, book.symbol, book.depth, book.topic) == (
        "spot",
        "BTCUSDT",
        200,
        "orderbook.200.BTCUSDT",
    )
    assert (book.price_scale, book.size_scale) == (2, 6)
    assert (book.bids(), book.asks(), book.level_counts()) == ([], [], (0, 0))
    assert book.best_bid is None
    assert book.best_ask is None
    assert book.update_id == book.seq == book.ts_ms == book.cts_ms == book.recv_ns == book.absent_deletes == 0


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("linear", "X", 0), "0"),
        (("linear", "X", -1), "-1"),
        (("linear", "X", 50, 19), "19"),
        (("linear", "X", 50, 0, -1), "-1"),
    ],
)
def test_arguments_out_of_range_are_named(arguments: tuple[str, str, int], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        OrderBook(*arguments)


def test_snapshot_sets_levels_and_header(book: OrderBook) -> None:
    assert book.state == BookState.LIVE
    assert book.bids() == pairs(*BIDS)
    assert book.asks() == pairs(*ASKS)
    assert book.level_counts() == (3, 2)
    assert (book.update_id, book.seq, book.ts_ms, book.cts_ms) == (7, 70, 1001, 1000)
    assert book.best_bid == (7730, 134720)
    assert book.best_ask == (7740, 1000)
    assert (book.price_scale, book.size_scale) == (2, 2)


def test_order_of_a_snapshot_is_not_trusted() -> None:
    book = OrderBook("linear", "SOLUSDT", 50)
    book.snapshot([("1", "1"), ("3", "3"), ("2", "2")], [("6", "6"), ("5", "5"), ("7", "7")])
    assert book.bids() == pairs(("3", "3"), ("2", "2"), ("1", "1"))
    assert book.asks() == pairs(("5", "5"), ("6", "6"), ("7", "7"))


def test_snapshot_replaces_both_sides(book: OrderBook) -> None:
    book.snapshot([("5", "1")], [], update_id=9)
    assert book.bids() == pairs(("5", "1"))
    assert book.asks() == []
    assert book.best_ask is None


def test_snapshot_drops_levels_of_size_zero(book: OrderBook) -> None:
    book.snapshot([("5", "0"), ("4", "0.000"), ("3", "1")], [])
    assert book.bids() == pairs(("3", "1"))
    assert book.absent_deletes == 0


def test_delta_sets_absolute_sizes_inserts_and_deletes(book: OrderBook) -> None:
    book.delta([("77.2", "9"), ("77.25", "4"), ("77.1", "0")], [("77.4", "0.000")], update_id=8, seq=71)
    assert book.bids() == pairs(("77.30", "1347.2"), ("77.25", "4"), ("77.2", "9"))
    assert book.asks() == pairs(("100", "2.5"))
    assert (book.update_id, book.seq) == (8, 71)
    assert book.absent_deletes == 0


def test_deleting_an_absent_price_is_a_counted_no_op(book: OrderBook) -> None:
    before = book.checksum()
    book.delta([("1", "0")], [("77.41", "0.0"), ("200", "0")])
    assert book.checksum() == before
    assert book.absent_deletes == 3


def test_the_last_of_a_repeated_price_wins(book: OrderBook) -> None:
    book.delta([("77.3", "1"), ("77.30", "0"), ("77.300", "2")], [("80", "5"), ("80.0", "0")])
    assert book.bids(1) == pairs(("77.3", "2"))
    assert book.asks() == pairs(*ASKS)
    book.snapshot([("1", "1"), ("1.0", "0"), ("2", "0"), ("2", "7")], [])
    assert book.bids() == pairs(("2", "7"))


def test_count_limits_levels(book: OrderBook) -> None:
    assert book.bids(2) == pairs(*BIDS[:2])
    assert book.asks(1) == pairs(*ASKS[:1])
    assert book.bids(1000) == book.bids(0) == book.bids()


def test_negative_prices_sort_by_value() -> None:
    book = OrderBook("spread", "SOLUSDT_SOL/USDT", 25)
    book.snapshot([("-0.5", "1"), ("-2", "1"), ("-1.25", "1")], [("0.1", "1"), ("-0.3", "1"), ("0", "1")])
    assert [price for price, _ in book.bids()] == [Decimal("-0.5"), Decimal("-1.25"), Decimal(-2)]
    assert [price for price, _ in book.asks()] == [Decimal("-0.3"), Decimal(0), Decimal("0.1")]
    assert book.best_bid == (-50, 1)


def test_a_finer_price_widens_the_scale_and_changes_no_value(book: OrderBook) -> None:
    book.delta([("77.305", "1.125")], [])
    assert (book.price_scale, book.size_scale) == (3, 3)
    assert book.best_bid == (77305, 1125)
    assert book.bids() == pairs(("77.305", "1.125"), *BIDS)
    assert book.asks() == pairs(*ASKS)


def test_price_and_size_are_exact_decimals(book: OrderBook) -> None:
    assert str(book.price(7730)) == "77.30"
    assert str(book.size(-5)) == "-0.05"


def test_a_bad_number_changes_nothing(book: OrderBook) -> None:
    before = book.copy()
    for level in (("x", "1"), ("1", ""), ("1", "-1"), ("1", "1e19")):
        with pytest.raises(ValueError, match=r"."):
            book.delta([("50", "1"), level], [], update_id=8)
        with pytest.raises(ValueError, match=r"."):
            book.snapshot([("50", "1")], [level], update_id=8)
    assert book == before
    assert (book.update_id, book.state) == (7, BookState.LIVE)


def test_overflow_leaves_the_book_stale(book: OrderBook) -> None:
    book.delta([("0.00000000000000001", "1")], [])
    assert book.state == BookState.STALE


CANONICAL = b"B 77.3 1347.2\nB 77.2 3\nB 77.1 0.5\nA 77.4 10\nA 100 2.5\n"


def test_checksum_is_crc32_of_the_plain_text(book: OrderBook) -> None:
    assert book.checksum() == book.checksum(0) == zlib.crc32(CANONICAL)
    assert book.checksum(2) == zlib.crc32(b"B 77.3 1347.2\nB 77.2 3\nA 77.4 10\nA 100 2.5\n")
    assert book.checksum(1) == zlib.crc32(b"B 77.3 1347.2\nA 77.4 10\n")
    assert book.checksum(1000) == book.checksum()


def test_checksum_of_special_numbers() -> None:
    book = OrderBook("spread", "X", 25)
    assert book.checksum() == zlib.crc32(b"")
    book.snapshot([("-12.50", "100")], [("0.00", "0.001"), ("1000", "1000000")])
    assert book.checksum() == zlib.crc32(b"B -12.5 100\nA 0 0.001\nA 1000 1000000\n")


def test_checksum_and_equality_do_not_see_scales(book: OrderBook) -> None:
    wide = OrderBook("linear", "SOLUSDT", 50, 8, 10)
    wide.snapshot(BIDS, ASKS, update_id=7, seq=70, ts_ms=1001, cts_ms=1000)
    assert (wide.price_scale, wide.size_scale) == (8, 10)
    assert wide.checksum() == book.checksum()
    assert wide == book
    wide.delta([("77.3", "1347.20000001")], [], update_id=7, seq=70, ts_ms=1001, cts_ms=1000)
    assert wide.checksum() != book.checksum()
    assert wide != book


def test_a_book_equals_only_books(book: OrderBook) -> None:
    assert book != "book"
    assert book is not None


def test_a_copy_does_not_follow(book: OrderBook) -> None:
    kept = book.copy()
    book.delta([("77.3", "0")], [("90", "1")], update_id=8)
    assert kept.bids() == pairs(*BIDS)
    assert kept.asks() == pairs(*ASKS)
    assert (kept.topic, kept.update_id, kept.state) == (book.topic, 7, BookState.LIVE)
    assert kept != book


def test_many_levels_stay_sorted() -> None:
    book = OrderBook("linear", "SOLUSDT", 1000)
    prices = [(index * 617) % 1000 for index in range(1000)]
    book.snapshot([], [])
    for price in prices:
        book.delta([(str(price), str(price + 1))], [(str(price + 2000), "1")])
    assert [price for price, _ in book.bids()] == list(range(999, -1, -1))
    assert [price for price, _ in book.asks()] == list(range(2000, 3000))
    for price in prices[:990]:
        book.delta([(str(price), "0")], [])
    assert [price for price, _ in book.bids()] == sorted(prices[990:], reverse=True)
