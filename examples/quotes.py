"""Best bid and ask, trades and gaps of two symbols; Ctrl-C ends it.

python examples/quotes.py                      mainnet
python examples/quotes.py ws://127.0.0.1:8080  a simulator (`python -m simulator` prints its address)
"""

import sys

import engine


class Quotes(engine.Listener):
    def on_book(self, book: engine.OrderBook) -> None:  # live and reused: copy what you keep
        if book.best_bid and book.best_ask:
            print(book.symbol, book.price(book.best_bid[0]), book.price(book.best_ask[0]))

    def on_trade(self, trade: engine.Trade) -> None:
        print(trade.symbol, trade.side, trade.size, "@", trade.price)

    def on_gap(self, gap: engine.Gap) -> None:
        print(gap, file=sys.stderr)


feed = engine.Feed(Quotes(), environment="mainnet", url=sys.argv[1] if len(sys.argv) > 1 else None)
feed.subscribe("linear", ["BTCUSDT", "ETHUSDT"], book=50, trades=True)
feed.run()
