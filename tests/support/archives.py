"""Archives as the venue publishes them, built with each of their pitfalls."""

import gzip
import io
import zipfile
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from tests.support.market import book_frame

DERIVATIVE_HEADER = (
    "timestamp,symbol,side,size,price,tickDirection,trdMatchID,grossValue,homeNotional,foreignNotional"
)
SPOT_HEADER = "id,timestamp,price,volume,side,rpi"
DIRECTIONS = ("PlusTick", "ZeroPlusTick", "MinusTick", "ZeroMinusTick")


def day_ms(day: str) -> int:
    """The first ms of a UTC day."""
    return int(datetime.strptime(day, "%Y-%m-%d").replace(tzinfo=UTC).timestamp()) * 1000


def book_lines(
    symbol: str,
    first_ms: int,
    messages: int,
    *,
    depth: int = 500,
    update_id: int = 1000,
    step_ms: int = 100,
    has_cts: bool = True,
) -> list[bytes]:
    """A snapshot and deltas, each of another best bid; `u` counts, `seq` is ten times `u`."""
    bids = [(f"{100 - level / 10:.1f}", "1") for level in range(10)]
    asks = [(f"{101 + level / 10:.1f}", "2.5") for level in range(10)]
    lines = [book_frame(symbol, "snapshot", update_id, bids, asks, depth=depth, ts_ms=first_ms)]
    for number in range(1, messages):
        at_ms = first_ms + number * step_ms
        change = [("100.0", str(number % 97 + 1))]
        lines.append(book_frame(symbol, "delta", update_id + number, change, (), depth=depth, ts_ms=at_ms))
    return lines if has_cts else [_without_cts(line) for line in lines]


def _without_cts(line: bytes) -> bytes:
    head, _, _ = line.rpartition(b',"cts":')
    return head + b"}"


def trade_rows(
    symbol: str, first_ms: int, trades: int, *, step_ms: int = 7, whole_seconds: bool = False, first: int = 0
) -> list[str]:
    """Rows of derivatives, ids 'SYMBOL-N'."""
    rows = []
    for number in range(first, first + trades):
        at_ms = first_ms + number * step_ms
        moment = str(at_ms // 1000) if whole_seconds else f"{at_ms / 1000:.4f}"
        side = "Buy" if number % 2 else "Sell"
        size = f"{number % 50 + 1}.001"
        rows.append(
            f"{moment},{symbol},{side},{size},{100 + number % 10}.5,{DIRECTIONS[number % 4]},"
            f"{symbol}-{number},2.493e+09,{size},249.3"
        )
    return rows


def spot_rows(first_ms: int, trades: int, *, step_ms: int = 7, first: int = 0) -> list[str]:
    """Rows of spot; ids count from 1 in each file; every fourth trade is equal to the one before."""
    rows = []
    for number in range(first, first + trades):
        kind = number - (number % 4 == 3)
        at_ms = first_ms + kind * step_ms
        side = "buy" if kind % 2 else "sell"
        rows.append(f"{number - first + 1},{at_ms},{100 + kind % 10}.50,0.{kind % 9 + 1}0,{side},0")
    return rows


def csv(header: str, rows: Iterable[str], end: str = "\n") -> bytes:
    """The text of a CSV file."""
    return "".join(line + end for line in (header, *rows)).encode()


def write_gzip(path: Path, content: bytes) -> Path:
    """A .gz of some content."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(content, mtime=0))
    return path


def write_zip(path: Path, members: Sequence[tuple[str, Iterable[bytes]]]) -> Path:
    """A .zip of members made of lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, lines in members:
            archive.writestr(
                zipfile.ZipInfo(name), b"".join(line + b"\n" for line in lines), zipfile.ZIP_DEFLATED
            )
    path.write_bytes(buffer.getvalue())
    return path


def write_books(folder: Path, symbol: str, day: str, lines: Iterable[bytes], *, depth: int = 500) -> Path:
    """An orderbook archive as the venue names it."""
    name = f"{day}_{symbol}_ob{depth}.data"
    return write_zip(folder / f"{name}.zip", [(name, lines)])


def write_trades(folder: Path, symbol: str, day: str, rows: Iterable[str]) -> Path:
    """A file of derivative trades as the venue names it."""
    return write_gzip(folder / f"{symbol}{day}.csv.gz", csv(DERIVATIVE_HEADER, rows))
