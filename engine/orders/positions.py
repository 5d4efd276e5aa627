"""Positions by symbol and index: the last row, and the fills that it does not hold yet."""

from collections import deque
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from engine.bybit.models import ExecutionRow, PositionRow

__all__ = ["Positions"]

FILLS_MAX: Final = 10_000  # of one position, since its last row; beyond it the oldest two become one
NO_SEQ: Final = 1 << 62  # a fill without seq: no row holds it surely
# The venue tells no position of these: what was filled is all that is known.
WITHOUT_ROWS: Final = frozenset({"spot", "spread"})
ZERO: Final = Decimal(0)

Key = tuple[str, str, int]  # category, symbol, position index


@dataclass(slots=True)
class _Fill:
    seq: int
    time_ms: int
    qty: Decimal
    exec_id: str


@dataclass(slots=True)
class _Position:
    row: PositionRow | None = None
    base: Decimal = ZERO
    fills: deque[_Fill] = field(default_factory=deque)

    def size(self) -> Decimal:
        return self.base + sum((fill.qty for fill in self.fills), ZERO)

    def holds(self, fill: _Fill) -> bool:
        """Whether the last row was made after a fill."""
        if self.row is None:
            return False
        return fill.time_ms < self.row.updated_ms if fill.seq == NO_SEQ else fill.seq <= self.row.seq


class Positions:
    """Positions, sizes signed: negative is short. Rows are ordered by ``seq``, then by their time."""

    def __init__(self) -> None:
        self.older = 0
        self._positions: dict[Key, _Position] = {}
        self._indexes: dict[tuple[str, str], list[int]] = {}

    def rows(self) -> list[PositionRow]:
        """Return the last row of every position that the venue told."""
        return [one.row for one in self._positions.values() if one.row is not None]

    def symbols(self) -> list[tuple[str, str]]:
        """Return what may have a position: category and symbol of every row and fill."""
        return list(self._indexes)

    def row(self, category: str, symbol: str, position_idx: int = 0) -> PositionRow | None:
        """Return the venue's last word of a position."""
        found = self._positions.get((category, symbol, position_idx))
        return None if found is None else found.row

    def size(self, category: str, symbol: str, position_idx: int = 0) -> Decimal:
        """Return a position's size with all fills that are known."""
        found = self._positions.get((category, symbol, position_idx))
        return ZERO if found is None else found.size()

    def indexes(self, category: str, symbol: str) -> list[int]:
        """Return the position indexes that a symbol has: 0, or those of a hedge."""
        return self._indexes.get((category, symbol), [])

    def take_row(self, row: PositionRow) -> bool:
        """Take the venue's word; False where a newer one is known."""
        position = self._position((row.category, row.symbol, row.position_idx))
        last = position.row
        if last is not None and (row.seq, row.updated_ms) < (last.seq, last.updated_ms):
            self.older += 1
            return False
        position.row, position.base = row, row.size
        position.fills = deque(fill for fill in position.fills if not position.holds(fill))
        return True

    def take_fill(self, row: ExecutionRow, position_idx: int) -> None:
        """Count a fill, once, unless the last row holds it."""
        position = self._position((row.category, row.symbol, position_idx))
        qty = row.qty if row.side == "Buy" else -row.qty
        if row.category in WITHOUT_ROWS:
            position.base += qty
            return
        fill = _Fill(NO_SEQ if row.seq is None else row.seq, row.time_ms, qty, row.exec_id)
        if position.holds(fill):
            return
        position.fills.append(fill)
        if len(position.fills) > FILLS_MAX:
            oldest, next_ = position.fills.popleft(), position.fills.popleft()
            seq, time_ms = max(oldest.seq, next_.seq), max(oldest.time_ms, next_.time_ms)
            position.fills.appendleft(_Fill(seq, time_ms, oldest.qty + next_.qty, next_.exec_id))

    def move_fill(self, row: ExecutionRow, position_idx: int) -> None:
        """A fill that was counted at index 0 proves to be of another."""
        if position_idx == 0 or row.category in WITHOUT_ROWS:
            return
        misplaced = self._position((row.category, row.symbol, 0))
        misplaced.fills = deque(fill for fill in misplaced.fills if fill.exec_id != row.exec_id)
        self.take_fill(row, position_idx)

    def _position(self, key: Key) -> _Position:
        found = self._positions.get(key)
        if found is None:
            found = self._positions[key] = _Position()
            self._indexes.setdefault(key[:2], []).append(key[2])
        return found
