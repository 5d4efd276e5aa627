"""Exports opened by the tools they are for, in an environment of their own: `make peers`."""

import json
import subprocess
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recorder.database.clickhouse import Database
from recorder.export.folder import MANIFEST
from recorder.export.nautilus import instrument_id
from recorder.export.nautilus_instruments import instrument
from recorder.export.request import Request
from recorder.export.run import export
from tests.support.databases import embedded
from tests.support.exports import INSTRUMENTS, ODD, final_book, load, record_market

HERE = Path(__file__).parent
PYTHON = HERE.parents[1] / ".venv-peers" / "bin" / "python"
TIMEOUT_S = 110  # hftbacktest compiles itself at its first start

if not (HERE.parents[1] / ".venv-peers" / ".installed").exists():
    pytest.skip("the peers' environment is not there: `make peers` makes it", allow_module_level=True)


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    folder = tmp_path_factory.mktemp("recording")
    record_market(folder / "spool", 400)
    with embedded(folder / "clickhouse") as database:
        load(database, folder / "spool", folder)
        yield database


def ask(script: str, *arguments: str) -> Any:
    """Run a script of this folder in the peers' environment; returns what it prints."""
    command = [str(PYTHON), str(HERE / script), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_hftbacktest_gives_the_same_book_and_trades(database: Database, tmp_path: Path) -> None:
    export(database, Request("hftbacktest"), tmp_path / "out")
    files = json.loads((tmp_path / "out" / MANIFEST).read_text())["files"]
    trades = 0
    for entry in files:
        if not entry["path"].endswith(".npz"):
            continue
        found = ask("open_hftbacktest.py", str(tmp_path / "out" / entry["path"]), "0.05", "0.001")
        day = Path(entry["path"]).stem
        bids, asks = final_book(database, entry["symbol"], f"{day[:4]}-{day[4:6]}-{day[6:]}")
        assert found["bids"] == [[float(price), float(size)] for price, size in bids]
        assert found["asks"] == [[float(price), float(size)] for price, size in asks]
        assert found["trades"] == entry["trades"]
        trades += found["trades"]
    assert trades == database.query("SELECT count() FROM trade")[0][0]


def test_nautilus_gives_the_same_book_and_trades(database: Database, tmp_path: Path) -> None:
    export(database, Request("nautilus"), tmp_path / "out")
    symbols = ("AAAUSDT", "BBBUSDT", ODD)
    found = ask("open_nautilus.py", str(tmp_path / "out"), *(instrument_id("linear", one) for one in symbols))
    ((date,),) = database.query("SELECT toString(max(toDate(recv))) FROM book_delta")
    for symbol in symbols:
        book = found["books"][instrument_id("linear", symbol)]
        bids, asks = final_book(database, symbol, date)
        assert [(Decimal(price), Decimal(size)) for price, size in book["bids"]] == bids
        assert [(Decimal(price), Decimal(size)) for price, size in book["asks"]] == asks
        expected = database.query(
            "SELECT price, size, trade_id, upper(toString(side)) FROM trades WHERE symbol = {symbol:String}"
            " ORDER BY position, item",
            {"symbol": symbol},
        )
        sides = {"BUY": "BUYER", "SELL": "SELLER"}
        assert [(Decimal(price), Decimal(size), *rest) for price, size, *rest in book["trades"]] == [
            (price, size, trade_id, sides[side]) for price, size, trade_id, side in expected
        ]
    assert found["instruments"] == [["AAAUSDT-LINEAR.BYBIT", "CryptoPerpetual", "0.10", "0.001"]]


def test_nautilus_reads_every_class_of_instrument(database: Database, tmp_path: Path) -> None:
    for category, symbol, _ in INSTRUMENTS:
        (table,) = rows(database, category, symbol)
        name = instrument_id(category, symbol)
        made = instrument(table, name, 2, 3)
        assert made is not None
        kind, one = made
        folder = tmp_path / "data" / kind / name
        folder.mkdir(parents=True)
        pq.write_table(one, folder / "2026-01-01T00-00-00-000000000Z_2026-01-01T00-00-00-000000000Z.parquet")
    found = ask("open_nautilus.py", str(tmp_path))["instruments"]
    assert {name: kind for name, kind, *_ in found} == {
        instrument_id(category, symbol): kind for category, symbol, kind in INSTRUMENTS
    }


def rows(database: Database, category: str, symbol: str) -> list[dict[str, Any]]:
    sql = (
        "SELECT * REPLACE (toString(source) AS source), toUnixTimestamp64Nano(valid_from) AS valid_ns"
        f" FROM instruments WHERE category = '{category}' AND symbol = '{symbol}'"
    )
    answer = pa.ipc.open_stream(database.raw_query(sql, fmt="ArrowStream")).read_all()
    found: list[dict[str, Any]] = answer.to_pylist()
    return found
