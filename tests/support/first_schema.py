"""The tables of the first schema as they were, and a row in each that changed since."""

from pathlib import Path

FOLDER = Path(__file__).parent / "first_schema_sql"
NAMES = (
    "book_delta",
    "book_snapshot",
    "bbo",
    "trade",
    "ticker",
    "kline",
    "liquidation",
    "gap",
    "event",
    "instrument",
    "load_batch",
    "committed",
    "quotes",
)
FIRST_SCHEMA = [FOLDER.joinpath(f"{name}.sql").read_text(encoding="utf-8") for name in NAMES]

_HEADER = "recorder, category, symbol, position, source, leg, recv"
_VALUES = "'r1', 'linear', 'AUSDT', 5, 'live', 255, '2026-01-02 03:04:05'"
FIRST_ROWS = [
    f"INSERT INTO book_delta ({_HEADER}, depth, bid_ref, `bids.step`, `bids.size`)"
    f" VALUES ({_VALUES}, 50, 100, [0], [7])",
    f"INSERT INTO bbo ({_HEADER}, depth, bid_price, bid_size) VALUES ({_VALUES}, 50, 100, 7)",
    f"INSERT INTO trade ({_HEADER}, trade_id, side) VALUES ({_VALUES}, 'x', 'Buy')",
    "INSERT INTO instrument (recorder, category, symbol, position, source, valid_from, status)"
    " VALUES ('r1', 'linear', 'AUSDT', 5, 'live', '2026-01-02 03:04:05', 'Trading')",
    "INSERT INTO load_batch (recorder, segment, first_position, last_position, last_recv)"
    " VALUES ('r1', 1, 1, 9, '2026-01-02 03:04:06')",
]
