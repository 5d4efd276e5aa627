"""Reads a ClickHouse Native block, independently of the code that writes it."""

import struct
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

_NUMBERS = {
    "Int8": "b",
    "UInt8": "B",
    "Bool": "?",
    "Int16": "h",
    "UInt16": "H",
    "Int32": "i",
    "UInt32": "I",
    "Int64": "q",
    "UInt64": "Q",
}


@dataclass
class _Cursor:
    data: bytes
    at: int = 0

    def take(self, size: int) -> bytes:
        assert self.at + size <= len(self.data), "block is cut short"
        self.at += size
        return self.data[self.at - size : self.at]

    def varint(self) -> int:
        value = shift = 0
        while True:
            byte = self.take(1)[0]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7

    def text(self) -> str:
        return self.take(self.varint()).decode()

    def numbers(self, code: str, count: int) -> list[Any]:
        return list(struct.unpack(f"<{count}{code}", self.take(count * struct.calcsize(code))))


def read_block(block: bytes) -> list[dict[str, Any]]:
    """Return the rows of one block; fails if a byte is left over."""
    cursor = _Cursor(block)
    columns, rows = cursor.varint(), cursor.varint()
    cells = {}
    for _ in range(columns):
        name, kind = cursor.text(), cursor.text()
        cells[name] = _read_column(cursor, kind, rows) if rows else []
    assert cursor.at == len(block), "bytes are left over"
    return [{name: column[row] for name, column in cells.items()} for row in range(rows)]


def _read_column(cursor: _Cursor, kind: str, rows: int) -> list[Any]:
    name, _, inner = kind.partition("(")
    inner = inner.removesuffix(")")
    if kind in _NUMBERS:
        return cursor.numbers(_NUMBERS[kind], rows)
    if name == "DateTime64":
        return cursor.numbers("q", rows)
    if name == "Enum8":
        members = {int(member.split("=")[1]): member.split("'")[1] for member in inner.split(",")}
        return [members[number] for number in cursor.numbers("b", rows)]
    if name == "Decimal":
        scale = int(inner.split(",")[1])
        numbers = [int.from_bytes(cursor.take(16), "little", signed=True) for _ in range(rows)]
        return [Decimal(number).scaleb(-scale) for number in numbers]
    if name == "String":
        return [cursor.text() for _ in range(rows)]
    if name == "Nullable":
        nulls = cursor.numbers("?", rows)
        return [
            None if null else value
            for null, value in zip(nulls, _read_column(cursor, inner, rows), strict=True)
        ]
    if name == "Array":
        ends = cursor.numbers("Q", rows)
        items = _read_column(cursor, inner, ends[-1])
        return [items[start:end] for start, end in zip([0, *ends], ends, strict=False)]
    if name == "Map":
        ends = cursor.numbers("Q", rows)
        keys, values = (_read_column(cursor, "String", ends[-1]) for _ in range(2))
        pairs = list(zip(keys, values, strict=True))
        return [dict(pairs[start:end]) for start, end in zip([0, *ends], ends, strict=False)]
    assert kind == "LowCardinality(String)", f"type {kind} is not known here"
    return _read_dictionary_column(cursor, rows)


def _read_dictionary_column(cursor: _Cursor, rows: int) -> list[str]:
    version, flags, count = cursor.numbers("Q", 3)
    assert (version, flags & ~0xFF) == (1, 0x600)
    keys = [cursor.text() for _ in range(count)]
    assert cursor.numbers("Q", 1) == [rows]
    return [keys[index] for index in cursor.numbers("BHI"[flags & 0xFF], rows)]
