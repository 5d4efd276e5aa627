from collections.abc import Iterable

from ext.book import OrderBook

class ChecksumBook(OrderBook):
    def __init__(
        self, category: str, symbol: str, depth: int, rule: str, price_scale: int = 0, size_scale: int = 0
    ) -> None: ...
    @property
    def rule(self) -> str: ...
    @property
    def mismatches(self) -> int: ...
    def snapshot(
        self,
        bids: Iterable[tuple[str, str]],
        asks: Iterable[tuple[str, str]],
        *,
        update_id: int = 0,
        seq: int = 0,
        ts_ms: int = 0,
        cts_ms: int = 0,
        checksum: int | None = None,
    ) -> bool: ...
    def delta(
        self,
        bids: Iterable[tuple[str, str]],
        asks: Iterable[tuple[str, str]],
        *,
        update_id: int = 0,
        seq: int = 0,
        ts_ms: int = 0,
        cts_ms: int = 0,
        checksum: int | None = None,
    ) -> bool: ...
    def venue_checksum(self) -> int: ...
    def copy(self) -> ChecksumBook: ...
