"""What the user allows, and the guard that holds every order against it and against the venue's rules."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import ROUND_CEILING, ROUND_DOWN, ROUND_FLOOR, ROUND_UP, Decimal
from typing import Final, Literal

from engine.bybit.instruments import Instrument
from engine.errors import ConfigError, UsageError
from engine.orders.exposure import Exposure
from engine.orders.guards import INT64_MAX, Block, Candidate, Refused, Rule, SymbolLimits, broken, explain
from engine.orders.order import Intent, Order

__all__ = ["Guard", "Limits"]

Symbol = tuple[str, str]  # category, symbol

SECOND_MS: Final = 1_000
PPM: Final = 1_000_000
TRADING: Final = "Trading"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What the user allows. None: no such limit. Notionals are quote coin, on inverse USD.

    ``symbols``: the only ones, as (category, symbol). ``max_position``, by symbol in base coin, goes before
    ``max_position_notional``. ``price_band``: how far beyond the best opposite price an order may reach, as
    a share. ``rounding``: a price or quantity off the grid is refused, or rounded: quantities down, prices
    away from the other side. Raises ConfigError.
    """

    symbols: frozenset[Symbol] | None = None
    max_order_notional: Decimal | None = Decimal(1_000)
    max_position_notional: Decimal | None = Decimal(5_000)
    max_position: Mapping[Symbol, Decimal] = field(default_factory=dict)
    max_open_orders: int = 50
    max_orders_per_s: int = 10
    price_band: Decimal | None = Decimal("0.05")
    max_feed_lag_ms: int = 1_000
    max_clock_uncertainty_ms: int = 250
    is_reduce_only: bool = False
    is_dry_run: bool = False
    rounding: Literal["refuse", "round"] = "refuse"
    needs_book: bool = True

    def __post_init__(self) -> None:
        for name in ("max_order_notional", "max_position_notional", "price_band"):
            value = getattr(self, name)
            if value is not None and not (isinstance(value, Decimal) and value.is_finite() and value > 0):
                raise ConfigError(name, value, "is a Decimal above 0, or None", "write Decimal('100')")
        for name in ("max_open_orders", "max_orders_per_s", "max_feed_lag_ms", "max_clock_uncertainty_ms"):
            if getattr(self, name) < 1:
                raise ConfigError(name, getattr(self, name), "is 1 or more")
        if self.rounding not in ("refuse", "round"):
            raise ConfigError("rounding", self.rounding, "is refuse or round")


class Guard:
    """Holds orders against limits; one for all symbols of a client. Sans-I/O.

    `limits_of` gives a symbol's `SymbolLimits`, the same object always: a compiled guard reads it. The client
    keeps it current with `block`, `book` and `exposed`.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._symbols: dict[Symbol, SymbolLimits] = {}
        self._blocks = Block.NONE
        self._own_blocks: dict[Symbol, Block] = {}
        self._exposures: dict[Symbol, Exposure] = {}
        self._sent_ms: deque[int] = deque()

    def listed(self, instrument: Instrument) -> SymbolLimits:
        """Take a symbol's rules, for the first time or changed."""
        key = instrument.category, instrument.symbol
        fresh = prepare(instrument, self.limits)
        known = self._symbols.setdefault(key, fresh)
        is_rescaled = (known.price_scale, known.size_scale) != (fresh.price_scale, fresh.size_scale)
        needs_book = known is fresh or is_rescaled
        if known is not fresh:
            current = {name: getattr(known, name) for name in CURRENT}
            if not is_rescaled:
                fresh = fresh.but(**current)
            known.become(fresh)
        is_allowed = self.limits.symbols is None or key in self.limits.symbols
        self.block(Block.NOT_ALLOWED, not is_allowed, key)
        self.block(Block.NOT_TRADING, instrument.status != TRADING, key)
        if self.limits.needs_book and needs_book:
            self.block(Block.BOOK, True, key)
        return known

    def limits_of(self, category: str, symbol: str) -> SymbolLimits:
        """Return a symbol's rules. Raises UsageError where it was not listed."""
        try:
            return self._symbols[category, symbol]
        except KeyError:
            raise UsageError(f"{category} has no symbol {symbol}", "see `tapehead symbols`") from None

    def block(self, block: Block, is_on: bool, symbol: Symbol | None = None) -> None:
        """Refuse everything, or everything of one symbol, while a reason holds."""
        if symbol is None:
            self._blocks = self._blocks | block if is_on else self._blocks & ~block
        else:
            own = self._own_blocks.get(symbol, Block.NONE)
            self._own_blocks[symbol] = own | block if is_on else own & ~block
        for key in self._symbols if symbol is None else [symbol]:
            if key in self._symbols:
                self._symbols[key].blocks = int(self._blocks | self._own_blocks.get(key, Block.NONE))

    def book(self, category: str, symbol: str, bid: int, ask: int, is_live: bool = True) -> None:
        """Take the best prices, as mantissas at the symbol's scale; 0: that side is empty."""
        limits = self.limits_of(category, symbol)
        is_whole = is_live and bid > 0 and ask > 0
        if self.limits.needs_book:
            self.block(Block.BOOK, not is_whole, (category, symbol))
        limits.band_low, limits.band_high = 0, INT64_MAX
        if is_whole and self.limits.price_band is not None:
            ppm = int(self.limits.price_band * PPM)
            limits.band_high = ask * (PPM + ppm) // PPM
            limits.band_low = -(-bid * max(0, PPM - ppm) // PPM)
        self._set_room(category, symbol)

    def exposed(self, category: str, symbol: str, exposure: Exposure, open_orders: int) -> None:
        """Take what position and orders of a symbol can become, and how many orders the account has open."""
        self._exposures[category, symbol] = exposure
        for limits in self._symbols.values():
            limits.orders_room = self.limits.max_open_orders - open_orders
        self._set_room(category, symbol)

    def sent(self, now_ms: int) -> None:
        """Count an order that goes out; ``now_ms`` is of any clock that does not go back."""
        self._sent_ms.append(now_ms)

    def sent_in_second(self, now_ms: int) -> int:
        """How many orders went out within the last second."""
        while self._sent_ms and self._sent_ms[0] <= now_ms - SECOND_MS:
            self._sent_ms.popleft()
        return len(self._sent_ms)

    def check(self, intent: Intent, now_ms: int, lag_ms: int = 0) -> Intent | Refused:
        """Return the intent as it may be sent, rounded if that was chosen, or why it may not."""
        limits = self.limits_of(intent.category, intent.symbol)
        on_grid = self._on_grid(limits, intent)
        if isinstance(on_grid, Refused):
            return on_grid
        refused = self._hold(limits, on_grid, on_grid.base_qty or on_grid.qty, now_ms, lag_ms)
        return on_grid if refused is None else refused

    def check_amend(
        self, order: Order, qty: Decimal | None, price: Decimal | None, now_ms: int, lag_ms: int = 0
    ) -> Intent | Refused:
        """Return what an order would be with this quantity and price, or why it may not be amended so."""
        intent = order.intent
        limits = self.limits_of(intent.category, intent.symbol)
        wanted = replace(
            intent, qty=order.qty if qty is None else qty, price=order.price if price is None else price
        )
        on_grid = self._on_grid(limits, wanted)
        if isinstance(on_grid, Refused):
            return on_grid
        # What the order has already counts against the room.
        counted = order.settled_qty + order.exposed_qty
        room = _mantissa(counted, limits.size_scale, ROUND_DOWN)
        spare = limits.but(orders_room=1)
        if on_grid.qty <= counted:
            spare.buy_room = spare.sell_room = INT64_MAX
        else:
            spare.buy_room, spare.sell_room = limits.buy_room + room, limits.sell_room + room
        refused = self._hold(spare, on_grid, on_grid.qty, now_ms, lag_ms)
        return on_grid if refused is None else refused

    def _hold(
        self, limits: SymbolLimits, intent: Intent, qty: Decimal, now_ms: int, lag_ms: int
    ) -> Refused | None:
        order = Candidate(
            is_buy=intent.is_buy,
            # A market buy for quote coin has a base quantity off the grid: its rest counts too.
            qty=_mantissa(qty, limits.size_scale, ROUND_UP),
            price=_mantissa(intent.price or Decimal(0), limits.price_scale, ROUND_UP),
            is_market=intent.order_type == "Market",
            is_post_only=intent.time_in_force == "PostOnly",
            is_closing=intent.is_closing,
            lag_ms=lag_ms,
            sent_in_second=self.sent_in_second(now_ms),
        )
        held = limits.but(step=1) if intent.is_in_quote else limits
        rule = broken(held, order)
        name = f"{intent.category} {intent.symbol}"
        return explain(rule, held, order, name) if rule else None

    def _on_grid(self, limits: SymbolLimits, intent: Intent) -> Intent | Refused:
        name = f"{intent.category} {intent.symbol}"
        is_rounding = self.limits.rounding == "round"
        price, qty = intent.price, intent.qty
        if price is not None and intent.order_type != "Market":
            away = ROUND_FLOOR if intent.is_buy else ROUND_CEILING
            rounded = _to_multiple(price, limits.tick, limits.price_scale, away)
            if rounded != price and not is_rounding:
                return _off_grid(Rule.TICK, "price", price, "tickSize", limits.tick, limits.price_scale, name)
            price = rounded
        if intent.is_in_quote:
            return self._in_quote(limits, intent, name)
        rounded = _to_multiple(qty, limits.step, limits.size_scale, ROUND_DOWN)
        least = Decimal(limits.min_qty).scaleb(-limits.size_scale)
        if qty < least:
            return Refused(Rule.MIN_QTY, "qty", str(qty), f"is below minOrderQty {least} of {name}")
        if rounded != qty and not is_rounding:
            return _off_grid(Rule.STEP, "qty", qty, "qtyStep", limits.step, limits.size_scale, name)
        return replace(intent, qty=rounded, price=price)

    def _in_quote(self, limits: SymbolLimits, intent: Intent, name: str) -> Intent | Refused:
        # The least price at which it can fill bounds how much it buys: the band's lower edge.
        if limits.band_low <= 0:
            return Refused(
                Rule.NO_PRICE, "qty", str(intent.qty), f"of quote coin needs a LIVE book of {name}"
            )
        least = Decimal(limits.band_low).scaleb(-limits.price_scale)
        most = (intent.qty / least).quantize(Decimal(1).scaleb(-limits.size_scale), ROUND_UP)
        return replace(intent, base_qty=most)

    def _set_room(self, category: str, symbol: str) -> None:
        limits = self.limits_of(category, symbol)
        most = self._most_position(limits, category, symbol)
        exposure = self._exposures.get((category, symbol))
        if exposure is None or most == INT64_MAX:
            limits.buy_room = limits.sell_room = most
            return
        limits.buy_room = most - _mantissa(exposure.long, limits.size_scale, ROUND_UP)
        limits.sell_room = most - _mantissa(exposure.short, limits.size_scale, ROUND_UP)

    def _most_position(self, limits: SymbolLimits, category: str, symbol: str) -> int:
        own = self.limits.max_position.get((category, symbol))
        if own is not None:
            return _mantissa(own, limits.size_scale, ROUND_DOWN)
        most = self.limits.max_position_notional
        if most is None:
            return INT64_MAX
        if limits.is_inverse:
            return _mantissa(most, limits.size_scale, ROUND_DOWN)
        if limits.band_high == INT64_MAX:
            return 0  # without a price nothing tells how much a notional is
        return int(most.scaleb(limits.price_scale + limits.size_scale)) // limits.band_high


# What the client keeps current, not the instrument.
CURRENT: Final = ("blocks", "band_low", "band_high", "buy_room", "sell_room", "orders_room")


def prepare(instrument: Instrument, limits: Limits) -> SymbolLimits:
    """Return an instrument's rules and the user's as integers."""
    price_scale, size_scale = instrument.price_scale, instrument.size_scale
    lot = instrument.raw.get("lotSizeFilter", {})
    is_spot = instrument.category == "spot"

    def qty(text: object, default: int) -> int:
        return _mantissa(Decimal(str(text)), size_scale, ROUND_DOWN) if text else default

    def price(text: str | None, default: int) -> int:
        return _mantissa(Decimal(text), price_scale, ROUND_DOWN) if text and Decimal(text) else default

    max_qty = qty(instrument.max_size, INT64_MAX)
    least, most = instrument.min_notional, limits.max_order_notional
    return SymbolLimits(
        price_scale=price_scale,
        size_scale=size_scale,
        tick=_mantissa(Decimal(instrument.price_tick), price_scale, ROUND_DOWN),
        step=_mantissa(Decimal(instrument.size_step), size_scale, ROUND_DOWN),
        is_inverse=int(instrument.category == "inverse"),
        min_price=price(instrument.min_price, 0),
        max_price=price(instrument.max_price, INT64_MAX),
        # Spot's minOrderQty is deprecated: its minimum is a notional.
        min_qty=0 if is_spot else qty(instrument.min_size, 0),
        max_qty=max_qty,
        max_post_qty=qty(lot.get("postOnlyMaxLimitOrderSize"), max_qty),
        max_market_qty=qty(lot.get("maxMarketOrderQty" if is_spot else "maxMktOrderQty"), max_qty),
        min_notional=_mantissa(Decimal(least), price_scale + size_scale, ROUND_UP) if least else 0,
        max_notional=INT64_MAX if most is None else _mantissa(most, price_scale + size_scale, ROUND_DOWN),
        lag_ms_max=limits.max_feed_lag_ms if limits.needs_book else INT64_MAX,
        rate_max=limits.max_orders_per_s,
        is_reduce_only=int(limits.is_reduce_only),
        is_dry_run=int(limits.is_dry_run),
    )


def _mantissa(number: Decimal, scale: int, rounding: str) -> int:
    return min(int(number.scaleb(scale).to_integral_value(rounding)), INT64_MAX)


def _to_multiple(number: Decimal, step: int, scale: int, rounding: str) -> Decimal:
    steps = (number.scaleb(scale) / step).to_integral_value(rounding)
    return (steps * step).scaleb(-scale)


def _off_grid(rule: Rule, field_: str, value: Decimal, of: str, step: int, scale: int, name: str) -> Refused:
    return Refused(
        rule, field_, str(value), f"is no multiple of {of} {Decimal(step).scaleb(-scale)} of {name}"
    )
