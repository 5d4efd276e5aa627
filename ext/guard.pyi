from enum import IntEnum

from ext.book import OrderBook

class GuardLimit(IntEnum):
    ORDERS_PER_S_MAX = ...

class SymbolLimits:
    price_scale: int
    size_scale: int
    tick: int
    step: int
    is_inverse: int
    min_price: int
    max_price: int
    min_qty: int
    max_qty: int
    max_post_qty: int
    max_market_qty: int
    min_notional: int
    max_notional: int
    lag_ms_max: int
    rate_max: int
    is_reduce_only: int
    is_dry_run: int
    blocks: int
    band_low: int
    band_high: int
    buy_room: int
    sell_room: int
    orders_room: int
    def __init__(
        self,
        *,
        price_scale: int,
        size_scale: int,
        tick: int,
        step: int,
        is_inverse: int = ...,
        min_price: int = ...,
        max_price: int = ...,
        min_qty: int = ...,
        max_qty: int = ...,
        max_post_qty: int = ...,
        max_market_qty: int = ...,
        min_notional: int = ...,
        max_notional: int = ...,
        lag_ms_max: int = ...,
        rate_max: int = ...,
        is_reduce_only: int = ...,
        is_dry_run: int = ...,
        blocks: int = ...,
        band_low: int = ...,
        band_high: int = ...,
        buy_room: int = ...,
        sell_room: int = ...,
        orders_room: int = ...,
    ) -> None: ...
    @property
    def book(self) -> OrderBook | None: ...
    def follow(self, book: OrderBook | None) -> None: ...
    def but(self, **changed: int) -> SymbolLimits: ...
    def become(self, other: SymbolLimits) -> None: ...
    def rule(
        self,
        *,
        is_buy: bool,
        qty: int,
        price: int = 0,
        is_market: bool = False,
        is_post_only: bool = False,
        is_closing: bool = False,
    ) -> int: ...

class RateWindow:
    def __init__(self, per_second: int) -> None: ...
    @property
    def per_second(self) -> int: ...
    @property
    def blocked_until_ns(self) -> int: ...
    def is_free(self, mono_ns: int) -> bool: ...
    def note(self, mono_ns: int) -> int: ...
    def block(self, until_ns: int) -> None: ...
