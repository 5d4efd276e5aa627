"""Run by the peers' Python: reads a catalog in NautilusTrader, and prints books, trades, instruments."""

import json
import sys

from nautilus_trader.model.book import OrderBook
from nautilus_trader.model.data import OrderBookDelta
from nautilus_trader.model.enums import BookType
from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.persistence.catalog import ParquetDataCatalog


def main(path: str, names: list[str]) -> None:
    catalog = ParquetDataCatalog(path)
    found = {}
    for name in names:
        book = OrderBook(InstrumentId.from_str(name), BookType.L2_MBP)
        deltas = catalog.query(OrderBookDelta, identifiers=[name])
        for delta in deltas:
            book.apply_delta(delta)
        trades = catalog.trade_ticks(instrument_ids=[name])
        found[name] = {
            "bids": [[str(level.price), f"{level.size()}"] for level in book.bids()],
            "asks": [[str(level.price), f"{level.size()}"] for level in book.asks()],
            "deltas": len(deltas),
            "trades": [[str(t.price), str(t.size), t.trade_id.value, t.aggressor_side.name] for t in trades],
        }
    instruments = [
        [str(one.id), type(one).__name__, str(one.price_increment), str(one.size_increment)]
        for one in catalog.instruments()
    ]
    print(json.dumps({"books": found, "instruments": instruments}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
