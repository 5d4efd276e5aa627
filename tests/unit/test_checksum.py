"""ChecksumBook: the three forms of the sum, spelled by hand."""

from zlib import crc32

import pytest

from ext.book import BookState
from ext.checksum import ChecksumBook

BIDS = [("0.05005", "0.00000500"), ("0.05000", "0.10")]
ASKS = [("0.05010", "1.500"), ("0.05015", "2"), ("0.05020", "0.30")]


def signed(text: str) -> int:
    return int.from_bytes(crc32(text.encode()).to_bytes(4, "big"), "big", signed=True)


def made(rule: str) -> ChecksumBook:
    book = ChecksumBook("x", "S", 10, rule)
    assert book.snapshot(BIDS, ASKS)
    return book


@pytest.mark.parametrize("rule", ["okx", "bitget"])
def test_okx_form_goes_level_by_level_and_leaves_out_what_a_side_lacks(rule: str) -> None:
    text = "0.05005:0.00000500:0.05010:1.500:0.05000:0.10:0.05015:2:0.05020:0.30"
    assert made(rule).venue_checksum() == signed(text)


def test_kraken_form_drops_points_and_leading_zeros() -> None:
    asks, bids = "5010150050152502030", "5005500500010"
    assert made("kraken").venue_checksum() == crc32((asks + bids).encode())


def test_the_spelling_survives_a_wider_scale_and_deletes_forget_it() -> None:
    book = made("okx")
    assert book.delta([("0.050001", "7"), ("0.05000", "0")], [])
    text = "0.05005:0.00000500:0.05010:1.500:0.050001:7:0.05015:2:0.05020:0.30"
    assert book.venue_checksum() == signed(text)


def test_a_wrong_sum_turns_the_book_stale_until_a_snapshot() -> None:
    book = made("okx")
    good = book.venue_checksum()
    assert book.delta([], [], checksum=good)
    assert not book.delta([], [], checksum=good ^ 1)
    assert book.state == BookState.STALE
    assert book.mismatches == 1
    with pytest.raises(ValueError, match="needs a LIVE book"):
        book.delta([], [])
    assert book.snapshot(BIDS, ASKS, checksum=good)


def test_a_copy_stands_alone() -> None:
    book = made("kraken")
    twin = book.copy()
    assert book.delta([("0.05005", "0")], [])
    assert twin.venue_checksum() != book.venue_checksum()
    assert twin.rule == "kraken"


def test_another_rule_is_refused() -> None:
    with pytest.raises(ValueError, match="use 'okx', 'bitget' or 'kraken'"):
        ChecksumBook("x", "S", 10, "crc")
