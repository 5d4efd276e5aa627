"""The widest spread of each book in a range of a recording, and what was missing from it.

python examples/replay.py data                                              all of it
python examples/replay.py data 2026-11-22T09:00:00Z 2026-11-22T10:00:00Z    an hour
"""

import sys
from decimal import Decimal

import engine
from recorder import Tape


class Spreads(engine.Listener):
    def __init__(self) -> None:
        self.widest: dict[str, Decimal] = {}

    def on_bbo(self, book: engine.OrderBook) -> None:
        if book.best_bid and book.best_ask:
            spread = book.price(book.best_ask[0] - book.best_bid[0])
            self.widest[book.topic] = max(spread, self.widest.get(book.topic, spread))

    def on_gap(self, gap: engine.Gap) -> None:
        print(gap)


data, start, end = (*sys.argv[1:], None, None)[:3]
spreads = Spreads()
Tape(data or "data", start=start, end=end).run(spreads)
for topic, spread in sorted(spreads.widest.items()):
    print(topic, spread)
