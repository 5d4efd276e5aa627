"""Level changes of books as arrays, made of rows of the tables."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

__all__ = ["Levels", "book_levels", "top_levels"]


@dataclass(slots=True)
class Levels:
    """Level changes in order, as arrays of one length.

    ``side`` is 1 for bids, -1 for asks, 0 where the whole book is cleared. Times are ns, a value is
    ``mantissa / 10**scale``, and ``is_last`` ends a message.
    """

    position: NDArray[np.uint64]
    local_ns: NDArray[np.int64]
    exch_ns: NDArray[np.int64]
    update_id: NDArray[np.uint64]
    side: NDArray[np.int8]
    price: NDArray[np.int64]
    size: NDArray[np.int64]
    price_scale: NDArray[np.uint8]
    size_scale: NDArray[np.uint8]
    is_snapshot: NDArray[np.bool_]
    is_last: NDArray[np.bool_]

    @classmethod
    def filled(cls, count: int, position: int, local_ns: int, exch_ns: int, update_id: int = 0) -> "Levels":
        """Return one message of empty levels, the first of which clears the book."""
        levels = cls(
            np.full(count, position, np.uint64),
            np.full(count, local_ns, np.int64),
            np.full(count, exch_ns, np.int64),
            np.full(count, update_id, np.uint64),
            np.zeros(count, np.int8),
            np.zeros(count, np.int64),
            np.zeros(count, np.int64),
            np.zeros(count, np.uint8),
            np.zeros(count, np.uint8),
            np.zeros(count, bool),
            np.zeros(count, bool),
        )
        levels.is_last[-1] = True
        return levels

    @classmethod
    def cleared(cls, position: int, time_ns: int) -> "Levels":
        """Return the clearing of the book where a gap opens."""
        return cls.filled(1, position, time_ns, time_ns)

    @classmethod
    def joined(cls, parts: "Sequence[Levels]") -> "Levels":
        """Return several as one, by position; at one position in the order given."""
        joined = [np.concatenate([getattr(part, name) for part in parts]) for name in cls.__slots__]
        order = np.argsort(joined[0], kind="stable")
        return cls(*(array[order] for array in joined))

    def __len__(self) -> int:
        return len(self.position)


def book_levels(rows: pa.Table) -> Levels:
    """Return the levels of each message: a clear before a snapshot, bids, asks."""
    snapshot = _array(rows, "is_snapshot").astype(bool)
    bids, asks = (np.diff(_offsets(rows, side)) for side in ("bid_prices", "ask_prices"))
    each = snapshot + bids + asks
    row = np.repeat(np.arange(len(each)), each)
    index = np.arange(len(row)) - np.repeat(np.cumsum(each) - each, each)  # within its message
    after_bids = (snapshot + bids)[row]
    is_clear = snapshot[row] & (index == 0)
    side = np.where(is_clear, 0, np.where(index < after_bids, 1, -1)).astype(np.int8)
    price, size = np.zeros(len(row), np.int64), np.zeros(len(row), np.int64)
    for sign, name in ((1, "bid"), (-1, "ask")):
        price[side == sign] = _values(rows, f"{name}_prices")
        size[side == sign] = _values(rows, f"{name}_sizes")
    return Levels(
        _array(rows, "position")[row],
        _array(rows, "local_ns")[row],
        _array(rows, "exch_ns")[row],
        _array(rows, "update_id")[row],
        side,
        price,
        size,
        _array(rows, "price_scale")[row],
        _array(rows, "size_scale")[row],
        snapshot[row],
        index == each[row] - 1,
    )


def top_levels(rows: pa.Table) -> Levels:
    """Return each row of best prices as a snapshot: a clear, and the sides that are there."""
    count = len(rows)
    each = 3
    row = np.repeat(np.arange(count), each)
    side = np.tile(np.array([0, 1, -1], np.int8), count)
    price, size = np.zeros(count * each, np.int64), np.zeros(count * each, np.int64)
    for offset, name in ((1, "bid"), (2, "ask")):
        price[offset::each] = _array(rows, f"{name}_price")
        size[offset::each] = _array(rows, f"{name}_size")
    keep = (side == 0) | (size > 0)
    is_last = np.append(row[keep][1:] != row[keep][:-1], True)[: keep.sum()]
    row = row[keep]
    return Levels(
        _array(rows, "position")[row],
        _array(rows, "local_ns")[row],
        _array(rows, "exch_ns")[row],
        _array(rows, "update_id")[row],
        side[keep],
        price[keep],
        size[keep],
        _array(rows, "price_scale")[row],
        _array(rows, "size_scale")[row],
        np.ones(len(row), bool),
        is_last,
    )


def _array(rows: pa.Table, name: str) -> NDArray[Any]:
    array: NDArray[Any] = rows[name].combine_chunks().to_numpy(zero_copy_only=False)
    return array


def _offsets(rows: pa.Table, name: str) -> NDArray[np.int64]:
    lengths = np.zeros(len(rows) + 1, np.int64)
    lengths[1:] = np.cumsum(pc.list_value_length(rows[name]).to_numpy())
    return lengths


def _values(rows: pa.Table, name: str) -> NDArray[np.int64]:
    array: NDArray[np.int64] = pc.list_flatten(rows[name]).to_numpy()
    return array
