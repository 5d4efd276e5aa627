"""A small recording with everything an export has to carry, loaded into an embedded database."""

from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import orjson

from ext.journal import RecordKind
from recorder.database.clickhouse import Database
from recorder.loading.loader import Loader
from recorder.verify import book_at
from tests.support.instruments import raw_instrument
from tests.support.market import START_NS, S, SpoolMaker, book_frame, make_market, ticker_frame, trade_frame

DAY_NS = 86_400 * S
ODD = "BTC-26DEC26/PERP"
MS = 1_000_000
# Category, symbol, and the class that NautilusTrader has for it.
INSTRUMENTS = (
    ("linear", "AAAUSDT", "CryptoPerpetual"),
    ("linear", "BTCUSDT-26DEC26", "CryptoFuture"),
    ("inverse", "BTCUSD", "CryptoPerpetual"),
    ("spot", "BTCUSDT", "CurrencyPair"),
    ("option", "BTC-26DEC26-100000-C-USDT", "CryptoOption"),
)


def _extra(category: str) -> dict[str, str]:
    return {"optionsType": "Call", "settleCoin": "USDT"} if category == "option" else {}


def record_market(folder: Path, messages: int = 60) -> None:
    """Two symbols over two days (UTC), a lost connection between, and one symbol with odd characters."""
    # Not far from midnight: the second half is of the next day.
    start_ns = START_NS - START_NS % DAY_NS + DAY_NS - messages // 2 * 20 * MS
    maker = SpoolMaker(folder, start_ns=start_ns)
    for category in sorted({category for category, _, _ in INSTRUMENTS}):
        listed = [
            raw_instrument(category, symbol, **_extra(category))
            for one, symbol, _ in INSTRUMENTS
            if one == category
        ]
        body = orjson.dumps({"result": {"category": category, "list": listed}}).decode()
        maker.record(
            RecordKind.REST, {"path": "/v5/market/instruments-info", "category": category, "body": body}
        )
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


def final_book(
    database: Database, symbol: str, date: str
) -> tuple[list[tuple[Decimal, Decimal]], list[tuple[Decimal, Decimal]]]:
    """The book after the last message of a day, as the tables have it; empty where a gap came after it."""
    ((position, gap),) = database.query(
        "SELECT max(position), (SELECT max(opened_position) FROM gaps"
        " WHERE topic = {topic:String} AND toDate(start) = {date:String})"
        " FROM (SELECT position, symbol, recv FROM book_delta UNION ALL"
        " SELECT position, symbol, recv FROM book_snapshot)"
        " WHERE symbol = {symbol:String} AND toDate(recv) = {date:String}",
        {"symbol": symbol, "topic": f"orderbook.50.{symbol}", "date": date},
    )
    if gap is not None and gap > position:
        return [], []
    return book_at(database, "r1", "linear", symbol, 50, position)


def files(folder: Path) -> Sequence[str]:
    """The files of a folder, as paths within it."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
