"""Checksums of venues that send them: every one of the real captures verifies, one flipped digit does not."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import zstandard

from ext.book import BookState
from ext.checksum import ChecksumBook
from tests.support.captures import capture

CASES = [("okx", "OKX.jsonl.zst", 290), ("bitget", "BITGET.jsonl.zst", 637)]
LEVELS = 400


@dataclass
class Message:
    symbol: str
    is_snapshot: bool
    bids: list[tuple[str, str]]
    asks: list[tuple[str, str]]
    checksum: int


def messages(name: str) -> Iterator[Message]:
    text = zstandard.ZstdDecompressor().stream_reader(capture(name).read_bytes()).read()
    for line in text.splitlines():
        frame = json.loads(line)
        if frame["t"] != "recv" or '"checksum"' not in frame["data"]:
            continue
        message = json.loads(frame["data"])
        for data in message["data"]:
            yield Message(
                symbol=message["arg"]["instId"],
                is_snapshot=message["action"] == "snapshot",
                bids=[(level[0], level[1]) for level in data["bids"]],
                asks=[(level[0], level[1]) for level in data["asks"]],
                checksum=data["checksum"],
            )


def take(book: ChecksumBook, message: Message) -> bool:
    apply = book.snapshot if message.is_snapshot else book.delta
    return apply(message.bids, message.asks, checksum=message.checksum)


@pytest.mark.parametrize(("rule", "name", "count"), CASES)
def test_every_checksum_of_the_capture_verifies(rule: str, name: str, count: int) -> None:
    books: dict[str, ChecksumBook] = {}
    verified = 0
    for message in messages(name):
        book = books.setdefault(message.symbol, ChecksumBook(rule, message.symbol, LEVELS, rule))
        assert take(book, message), message
        verified += 1
    assert verified == count


def flipped(levels: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """The same levels with the last digit of the best size changed."""
    (price, size), *rest = levels
    return [(price, size[:-1] + str((int(size[-1]) + 1) % 10)), *rest]


@pytest.mark.parametrize(("rule", "name", "count"), CASES)
def test_one_flipped_digit_is_noticed_at_once(rule: str, name: str, count: int) -> None:
    books: dict[str, ChecksumBook] = {}
    noticed = tried = 0
    for message in messages(name):
        book = books.setdefault(message.symbol, ChecksumBook(rule, message.symbol, LEVELS, rule))
        if message.is_snapshot:
            assert take(book, message)
        touched: Any = None
        for side in ("bids", "asks"):
            levels = getattr(message, side)
            best = {price for price, _ in getattr(book, side)(20)} if levels else set()
            # Only what stands among the levels of the sum can be noticed by it.
            if levels and any(str(price) == levels[0][0] for price in best) and float(levels[0][1]):
                touched = side
        if touched is not None:
            spoiled = Message(**{**vars(message), touched: flipped(getattr(message, touched))})
            twin = book.copy()
            tried += 1
            noticed += not take(twin, spoiled)
            assert twin.state == BookState.STALE
            assert twin.mismatches == 1
        if not message.is_snapshot:
            assert take(book, message)
    assert noticed == tried >= 50
