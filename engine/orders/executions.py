"""Which executions were counted, and those whose order no row has told yet."""

from collections import OrderedDict
from typing import Final

from engine.bybit.models import ExecutionRow

__all__ = ["Executions"]

KEYS_MAX: Final = 200_000  # the oldest are forgotten; a reconciling query reaches back minutes, not days
ORPHANS_MAX: Final = 10_000


class Executions:
    """Every execution counts once by (category, symbol, execId), its fee once too, whatever told it first."""

    def __init__(self) -> None:
        self.repeated = 0
        self.orphans_dropped = 0
        self.newest_ms: dict[str, int] = {}  # by category: time of the latest execution
        self._has_fee: OrderedDict[tuple[str, str, str], bool] = OrderedDict()
        self._orphans: OrderedDict[tuple[str, str], list[tuple[ExecutionRow, bool]]] = OrderedDict()
        self._orphan_count = 0

    def note(self, row: ExecutionRow) -> tuple[bool, bool]:
        """Return whether an execution is new, and whether its fee is."""
        had_fee = self._has_fee.get(row.key)
        has_fee = row.fee is not None
        self._has_fee[row.key] = bool(had_fee) or has_fee
        if len(self._has_fee) > KEYS_MAX:
            self._has_fee.popitem(last=False)
        is_new, is_new_fee = had_fee is None, has_fee and not had_fee
        if is_new:
            self.newest_ms[row.category] = max(row.time_ms, self.newest_ms.get(row.category, 0))
        elif not is_new_fee:
            self.repeated += 1
        return is_new, is_new_fee

    def keep_orphan(self, row: ExecutionRow, is_fill: bool) -> None:
        """Keep an execution, or a fee that followed it, until a row tells whose orderId it has."""
        self._orphans.setdefault((row.category, row.order_id), []).append((row, is_fill))
        self._orphan_count += 1
        while self._orphan_count > ORPHANS_MAX:
            _, dropped = self._orphans.popitem(last=False)
            self._orphan_count -= len(dropped)
            self.orphans_dropped += len(dropped)

    def orphans_of(self, category: str, order_id: str) -> list[tuple[ExecutionRow, bool]]:
        """Take what waited for this orderId, with whether it is a fill or a fee that followed one."""
        found = self._orphans.pop((category, order_id), [])
        self._orphan_count -= len(found)
        return found
