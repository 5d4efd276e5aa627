"""How much of a spool lies behind a place in it."""

import os
from pathlib import Path
from typing import Final

from recorder.spool.seals import read_seal
from recorder.spool.segments import SpoolError, compressed_path, segment_path

__all__ = ["unread_bytes"]

BLOCK_BYTES: Final = 4096  # no record holds so many zero bytes in a row: frames are text
RECORD_ALIGN: Final = 8


def unread_bytes(folder: Path, segment: int, offset: int) -> int:
    """Return how many bytes of records come after an offset in a segment, without reading them.

    Compressed segments count as what they were before, or as they are where no seal says that.
    """
    total = 0
    for number in _numbers(folder, segment):
        total += max(_record_bytes(folder, number) - (offset if number == segment else 0), 0)
    return total


def _numbers(folder: Path, first: int) -> set[int]:
    try:
        with os.scandir(folder) as entries:
            names = [entry.name.partition(".") for entry in entries]
    except FileNotFoundError:
        return set()
    numbers = (int(stem) for stem, _, suffix in names if suffix in ("tape", "tape.zst") and stem.isdecimal())
    return {number for number in numbers if number >= first}


def _record_bytes(folder: Path, number: int) -> int:
    try:
        return _written_bytes(segment_path(folder, number))
    except FileNotFoundError:
        pass
    try:
        seal = read_seal(folder, number)
    except SpoolError:
        seal = None
    try:
        return seal.bytes if seal is not None else compressed_path(folder, number).stat().st_size
    except FileNotFoundError:
        return 0  # gone since it was listed


def _written_bytes(path: Path) -> int:
    """The bytes of a segment up to its zero tail: while it is written, it is as long as it may get."""
    with path.open("rb", buffering=0) as file:
        low, high = 0, -(-os.fstat(file.fileno()).st_size // BLOCK_BYTES)
        last = b""
        while low < high:
            middle = (low + high) // 2
            block = os.pread(file.fileno(), BLOCK_BYTES, middle * BLOCK_BYTES).rstrip(b"\0")
            if block:
                low, last = middle + 1, block
            else:
                high = middle
    return (low - 1) * BLOCK_BYTES + -(-len(last) // RECORD_ALIGN) * RECORD_ALIGN if low else 0
