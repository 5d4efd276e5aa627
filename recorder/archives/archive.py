"""An archive file, examined: whole, of a format we read, and known by its content."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from recorder.archives.derivative_trades import NEEDED as DERIVATIVE_COLUMNS
from recorder.archives.derivative_trades import DerivativeTradesFormat
from recorder.archives.errors import ArchiveError
from recorder.archives.lines import ArchiveFormat, BadLineError, Line
from recorder.archives.names import Hints, category_of, hints
from recorder.archives.orderbook import OrderBookFormat
from recorder.archives.spot_trades import NEEDED as SPOT_COLUMNS
from recorder.archives.spot_trades import SpotTradesFormat
from recorder.archives.trades import Columns, header_of
from recorder.archives.unpacking import Lines

__all__ = ["Archive", "examine", "hash_of", "is_import", "recorder_of"]

HASH_CHUNK_BYTES: Final = 1 << 20
CATEGORIES: Final = ("spot", "linear", "inverse")
FIRST_LINES_MAX: Final = 16  # among which there is one that reads, or the file is something else

_RECORDER: Final = "import-"

OnBytes = Callable[[int], None]


@dataclass(frozen=True)
class Archive:
    """A file that can be imported. `lines` is 0 where it is empty.

    `own_symbol`: of its first line (of spot trades: of its name); `symbol`: what that one is imported under.
    `first_ns`: time of its first line.
    """

    path: Path
    sha256: str
    size_bytes: int
    modified_ns: int
    unpacked_bytes: int
    lines: int
    hints: Hints
    category: str
    own_symbol: str
    symbol: str
    first_line: bytes
    first_ns: int

    @property
    def recorder(self) -> str:
        """The name in every row."""
        return recorder_of(self.sha256)

    @property
    def rename(self) -> dict[str, str]:
        """{symbol in the file: symbol to import it under}."""
        return {self.own_symbol: self.symbol} if self.own_symbol != self.symbol else {}

    @property
    def is_of_books(self) -> bool:
        """Whether it holds messages of books, not trades."""
        return OrderBookFormat.is_header(self.first_line)

    def described(self) -> dict[str, str | int]:
        """What is noted of it in the database."""
        return {
            "name": self.path.name,
            "sha256": self.sha256,
            "size_bytes": self.size_bytes,
            "format": self.format().name,
            "category": self.category,
            "own_symbol": self.own_symbol,
            "symbol": self.symbol,
        }

    def format(self) -> ArchiveFormat:
        """Return a reader for one pass."""
        found = _format(self.path, self.first_line, self.own_symbol, self.rename)
        if found is None:
            raise ArchiveError(self.path, "it is empty", "there is nothing to import")
        return found


def recorder_of(sha256: str) -> str:
    """Return the name in every row of a file: it says the content, whatever the file is called."""
    return f"{_RECORDER}{sha256[:16]}"


def is_import(recorder: str) -> bool:
    """Return whether a name in rows is that of an archive."""
    return recorder.startswith(_RECORDER)


def hash_of(path: Path, on_bytes: OnBytes) -> str:
    """Return the SHA-256 of a file; ``on_bytes`` is told how many were read. Raises OSError."""
    digest = hashlib.sha256()
    done = 0
    with path.open("rb") as file:
        while chunk := file.read(HASH_CHUNK_BYTES):
            digest.update(chunk)
            done += len(chunk)
            on_bytes(done)
    return digest.hexdigest()


def examine(path: Path, sha256: str, category: str, symbol: str, on_bytes: OnBytes) -> Archive:
    """Read a file to its end and return what it is.

    Args:
        path: of the file.
        sha256: its `hash_of`.
        category: "" for what the file and its path say.
        symbol: to import it under, "" for its own.
        on_bytes: told how many bytes of the file were read.

    Raises:
        ArchiveError: cut short, damaged, too large, of no format we read, or it contradicts what is given.
        OSError: it cannot be read.
    """
    status = path.stat()
    first: list[bytes] = []
    lines = 0
    with Lines(path) as reader:
        for line in reader:
            lines += 1
            if len(first) < FIRST_LINES_MAX and line.strip():
                first.append(line)
            if lines % 10_000 == 0:
                on_bytes(reader.read_bytes)
        unpacked_bytes = reader.unpacked_bytes
    on_bytes(status.st_size)
    said = hints(path)
    is_spot = bool(first) and SpotTradesFormat.is_header(header_of(first[0]))
    sample = _first_that_reads(path, first, said.symbol or symbol) if first else None
    own_symbol = sample.symbol if sample is not None else said.symbol
    return Archive(
        path=path,
        sha256=sha256,
        size_bytes=status.st_size,
        modified_ns=status.st_mtime_ns,
        unpacked_bytes=unpacked_bytes,
        lines=lines if sample is not None else 0,
        hints=said,
        category=_category(path, category, said, own_symbol, is_spot=is_spot),
        own_symbol=own_symbol,
        symbol=symbol or own_symbol,
        first_line=first[0] if first else b"",
        first_ns=sample.recv_ns if sample is not None else 0,
    )


def _first_that_reads(path: Path, first: list[bytes], named: str) -> Line | None:
    """The first line that says something; None where there is nothing but a header."""
    reader = _format(path, first[0], named, {})
    if reader is None:
        begin = first[0][:60].decode(errors="replace")
        problem = f"this is no archive we know: its first line is {begin!r}"
        remedy = "give orderbook archives (.data.zip) or trades (.csv.gz); docs/import.md tells where from"
        raise ArchiveError(path, problem, remedy)
    problem = ""
    for line in first:
        try:
            read = reader.read(line)
        except BadLineError as error:
            problem = problem or str(error)
            continue
        if read is not None:
            return read
    if problem:
        raise ArchiveError(
            path, f"no line of its beginning reads: {problem}", "look whether it is what its name says"
        )
    return None


def _format(path: Path, first_line: bytes, symbol: str, rename: dict[str, str]) -> ArchiveFormat | None:
    """The format of a file that begins with this line; None for none that we know. Raises ArchiveError."""
    if OrderBookFormat.is_header(first_line):
        return OrderBookFormat(rename)
    names = header_of(first_line)
    columns = Columns(names)
    if DerivativeTradesFormat.is_header(names):
        _check_columns(path, columns, DERIVATIVE_COLUMNS)
        return DerivativeTradesFormat(columns, rename)
    if SpotTradesFormat.is_header(names):
        _check_columns(path, columns, SPOT_COLUMNS)
        if not symbol:
            problem = "spot trades do not say of which symbol they are, and the file's name does not either"
            raise ArchiveError(path, problem, "give it with --symbol")
        return SpotTradesFormat(columns, rename.get(symbol, symbol))
    return None


def _check_columns(path: Path, columns: Columns, needed: tuple[str, ...]) -> None:
    missing = columns.missing(needed)
    if missing:
        problem = f"its header (line 1) has no column {', '.join(missing)}"
        raise ArchiveError(path, problem, f"the columns that are needed are {', '.join(needed)}")


def _category(path: Path, given: str, said: Hints, symbol: str, *, is_spot: bool) -> str:
    if given and given not in CATEGORIES:
        problem = f"category was {given!r}; archives are of {', '.join(CATEGORIES)}"
        raise ArchiveError(path, problem, "use one of these")
    if is_spot and given not in ("", "spot"):
        raise ArchiveError(
            path, f"category was {given!r}, but its columns are those of spot trades", "leave --category out"
        )
    return given or ("spot" if is_spot else said.category) or category_of(symbol)
