"""A small recording with everything an export has to carry, loaded into an embedded database."""

from collections.abc import Sequence
from pathlib import Path

import orjson

from ext.journal import RecordKind
from recorder.clickhouse import Database
from recorder.loader import Loader
from tests.support.instruments import raw_instrument
from tests.support.market import START_NS, S, SpoolMaker, book_frame, make_market, ticker_frame, trade_frame

DAY_NS = 86_400 * S
ODD = "BTC-26DEC26/PERP"
MS = 1_000_000


def record_market(folder: Path, messages: int = 60) -> None:
    """Two symbols over two days (UTC), a lost connection between, and one symbol with odd characters."""
    # Not far from midnight: the second half is of the next day.
    start_ns = START_NS - START_NS % DAY_NS + DAY_NS - messages // 2 * 20 * MS
    maker = SpoolMaker(folder, start_ns=start_ns)
    answer = {"category": "linear", "list": [raw_instrument("linear", "AAAUSDT")]}
    body = orjson.dumps({"result": answer}).decode()
    maker.record(RecordKind.REST, {"path": "/v5/market/instruments-info", "category": "linear", "body": body})
    make_market(maker, messages)
    maker.disconnect("eof")
    maker.now_ns += S
    maker.connect(
        *(f"{kind}.{symbol}" for symbol in ("AAAUSDT", ODD) for kind in ("orderbook.50", "publicTrade"))
    )
    now_ms = maker.now_ns // MS
    for symbol in ("AAAUSDT", ODD):
        maker.frame(book_frame(symbol, "snapshot", 900, [("10.05", "3")], [("10.25", "1.25")], ts_ms=now_ms))
        maker.frame(
            book_frame(symbol, "delta", 901, [("10.00", "7")], [("10.25", "0"), ("10.3", "2")], ts_ms=now_ms)
        )
        maker.frame(trade_frame(symbol, [(f"{symbol}-x", "Sell", "10.05", "0.125")], ts_ms=now_ms))
    maker.frame(ticker_frame("AAAUSDT", "snapshot", lastPrice="10.2", markPrice="10.21", ts_ms=now_ms))
    maker.close()


def load(database: Database, spool: Path, state: Path, recorder: str = "r1") -> None:
    """Load a spool into a database with its schema."""
    loader = Loader(spool, database, recorder, state, batch_records=40)
    loader.recover()
    loader.drain()
    loader.close()


def files(folder: Path) -> Sequence[str]:
    """The files of a folder, as paths within it."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
