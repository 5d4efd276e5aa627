"""Whether a compiled book holds exactly these levels, best first."""

from decimal import Decimal

from ext.book import OrderBook


def compare_books(
    book: OrderBook, bids: list[tuple[Decimal, Decimal]], asks: list[tuple[Decimal, Decimal]]
) -> None:
    assert book.bids() == bids
    assert book.asks() == asks
    assert book.level_counts() == (len(bids), len(asks))
    for best, side in ((book.best_bid, bids), (book.best_ask, asks)):
        level = None if best is None else (book.price(best[0]), book.size(best[1]))
        assert level == (side[0] if side else None)
