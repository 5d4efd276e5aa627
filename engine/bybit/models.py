"""The rows of an account: orders, executions, positions, wallets, greeks; one form for streams and REST.

    stream  {"category":"linear","symbol":"BTCUSDT","orderId":"5cf9","orderLinkId":"bot1-1-1","side":"Buy",
             "orderStatus":"New","qty":"0.010","cumExecQty":"0","avgPrice":"","updatedTime":"1790000000457",..}
    REST    the same without category, which the result says once for all its rows

Differences that are evened out: a position's entry price is ``entryPrice`` on a stream and ``avgPrice`` in
REST, a row of execution.fast has neither type, fee nor, for makers, orderLinkId; a number that is not there
is ``""``, ``"0.00"`` or absent; times are text, or integers. Words are the venue's, new ones included;
``raw`` keeps every field.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final, NoReturn

from engine.errors import AnswerError

__all__ = [
    "CoinRow",
    "ExecutionRow",
    "GreeksRow",
    "OrderRow",
    "PositionRow",
    "WalletRow",
    "read_execution",
    "read_greeks",
    "read_order",
    "read_position",
    "read_wallet",
]

TEXT_CHARS_MAX: Final = 128
NUMBER_CHARS_MAX: Final = 64
COINS_MAX: Final = 5_000
NEVER_TRADED: Final = -1  # the seq of a position that never had a trade
ZERO: Final = Decimal(0)

_NUMBER: Final = re.compile(r"-?[0-9]+(\.[0-9]+)?", re.ASCII)
_INTEGER: Final = re.compile(r"-?[0-9]{1,18}", re.ASCII)

Raw = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class OrderRow:
    """An order as the venue tells it. Sizes are base coin, on inverse USD, and quote for a spot market buy.

    Numbers that the venue left empty are None. Times are ms of the venue's clock.
    """

    category: str
    symbol: str
    order_id: str
    link_id: str
    parent_link_id: str
    side: str
    order_type: str
    time_in_force: str
    qty: Decimal | None
    price: Decimal | None
    trigger_price: Decimal | None
    avg_price: Decimal | None
    filled_qty: Decimal
    filled_value: Decimal
    status: str
    cancel_type: str
    reject_reason: str
    is_reduce_only: bool
    position_idx: int
    market_unit: str
    create_type: str
    created_ms: int
    updated_ms: int
    raw: Raw = field(repr=False)


@dataclass(frozen=True, slots=True)
class ExecutionRow:
    """A fill, or another booking of the account that the venue calls an execution (``kind``: its execType).

    ``fee`` is None in a row of execution.fast. ``seq`` orders it against positions of its symbol.
    """

    category: str
    symbol: str
    order_id: str
    link_id: str
    exec_id: str
    kind: str
    side: str
    qty: Decimal
    price: Decimal
    value: Decimal
    fee: Decimal | None
    fee_coin: str
    is_maker: bool
    time_ms: int
    seq: int | None
    raw: Raw = field(repr=False)

    @property
    def key(self) -> tuple[str, str, str]:
        """By what it is known, in every stream and query."""
        return self.category, self.symbol, self.exec_id


@dataclass(frozen=True, slots=True)
class PositionRow:
    """A position; ``size`` is negative where it is short, 0 where it is flat."""

    category: str
    symbol: str
    position_idx: int
    side: str
    size: Decimal
    entry_price: Decimal | None
    mark_price: Decimal | None
    liquidation_price: Decimal | None
    leverage: Decimal | None
    unrealised_pnl: Decimal | None
    realised_pnl: Decimal | None
    take_profit: Decimal | None
    stop_loss: Decimal | None
    trailing_stop: Decimal | None
    status: str
    seq: int
    updated_ms: int
    raw: Raw = field(repr=False)


@dataclass(frozen=True, slots=True)
class CoinRow:
    """What the account has of one coin."""

    coin: str
    equity: Decimal | None
    wallet_balance: Decimal | None
    locked: Decimal | None
    borrowed: Decimal | None
    unrealised_pnl: Decimal | None
    realised_pnl: Decimal | None
    raw: Raw = field(repr=False)


@dataclass(frozen=True, slots=True)
class WalletRow:
    """The account's totals, in USD, and those coins that the message names."""

    account_type: str
    total_equity: Decimal | None
    total_wallet_balance: Decimal | None
    total_margin_balance: Decimal | None
    total_available_balance: Decimal | None
    total_initial_margin: Decimal | None
    total_maintenance_margin: Decimal | None
    coins: tuple[CoinRow, ...]
    time_ms: int
    raw: Raw = field(repr=False)


@dataclass(frozen=True, slots=True)
class GreeksRow:
    """The greeks of all options of one base coin."""

    base_coin: str
    delta: Decimal | None
    gamma: Decimal | None
    vega: Decimal | None
    theta: Decimal | None
    raw: Raw = field(repr=False)


def read_order(raw: Raw, category: str = "") -> OrderRow:
    """Read a row of the order stream, of open orders or of the history. Raises AnswerError."""
    row = _Row("order", raw)
    return OrderRow(
        category=row.text("category") or category or row.missing("category"),
        symbol=row.word("symbol"),
        order_id=row.word("orderId"),
        link_id=row.text("orderLinkId"),
        parent_link_id=row.text("parentOrderLinkId"),
        side=row.text("side"),
        order_type=row.text("orderType"),
        time_in_force=row.text("timeInForce"),
        qty=row.number("qty"),
        price=row.number("price"),
        trigger_price=row.number("triggerPrice"),
        avg_price=row.number("avgPrice"),
        filled_qty=row.number("cumExecQty") or ZERO,
        filled_value=row.number("cumExecValue") or ZERO,
        status=row.word("orderStatus"),
        cancel_type=row.text("cancelType"),
        reject_reason=row.text("rejectReason"),
        is_reduce_only=raw.get("reduceOnly") is True,
        position_idx=row.integer("positionIdx") or 0,
        market_unit=row.text("marketUnit"),
        create_type=row.text("createType"),
        created_ms=row.integer("createdTime") or 0,
        updated_ms=row.integer("updatedTime") or 0,
        raw=raw,
    )


def read_execution(raw: Raw, category: str = "") -> ExecutionRow:
    """Read a row of execution, execution.fast or the list of executions. Raises AnswerError."""
    row = _Row("execution", raw)
    qty, price = row.number("execQty"), row.number("execPrice")
    if qty is None or qty < 0:
        row.wrong("execQty", "a number, not negative")
    price = ZERO if price is None else price
    value = row.number("execValue")
    return ExecutionRow(
        category=row.text("category") or category or row.missing("category"),
        symbol=row.word("symbol"),
        order_id=row.text("orderId"),
        link_id=row.text("orderLinkId"),
        exec_id=row.word("execId"),
        kind=row.text("execType") or "Trade",  # execution.fast has trades only, and does not say so
        side=row.text("side"),
        qty=qty,
        price=price,
        value=qty * price if value is None else value,
        fee=row.number("execFee"),
        fee_coin=row.text("feeCurrency"),
        is_maker=raw.get("isMaker") is True,
        time_ms=row.integer("execTime") or 0,
        seq=row.integer("seq"),
        raw=raw,
    )


def read_position(raw: Raw, category: str = "") -> PositionRow:
    """Read a row of the position stream or of the list of positions. Raises AnswerError."""
    row = _Row("position", raw)
    side = row.text("side")
    size = row.number("size") or ZERO
    if size < 0:
        row.wrong("size", "not negative")
    entry = row.number("entryPrice")
    seq = row.integer("seq")
    return PositionRow(
        category=row.text("category") or category or row.missing("category"),
        symbol=row.word("symbol"),
        position_idx=row.integer("positionIdx") or 0,
        side=side,
        size=-size if side == "Sell" else size,
        entry_price=row.number("avgPrice") if entry is None else entry,
        mark_price=row.number("markPrice"),
        liquidation_price=row.number("liqPrice"),
        leverage=row.number("leverage"),
        unrealised_pnl=row.number("unrealisedPnl"),
        realised_pnl=row.number("cumRealisedPnl"),
        take_profit=row.number("takeProfit"),
        stop_loss=row.number("stopLoss"),
        trailing_stop=row.number("trailingStop"),
        status=row.text("positionStatus"),
        seq=NEVER_TRADED if seq is None else seq,
        updated_ms=row.integer("updatedTime") or 0,
        raw=raw,
    )


def read_wallet(raw: Raw, time_ms: int) -> WalletRow:
    """Read an element of the wallet stream or of the wallet balance.

    ``time_ms`` is what its envelope says: ``creationTime`` of a message, ``time`` of an answer. Raises
    AnswerError.
    """
    row = _Row("wallet", raw)
    coins = raw.get("coin")
    if not isinstance(coins, list) or len(coins) > COINS_MAX:
        row.wrong("coin", f"a list of at most {COINS_MAX}")
    return WalletRow(
        account_type=row.text("accountType"),
        total_equity=row.number("totalEquity"),
        total_wallet_balance=row.number("totalWalletBalance"),
        total_margin_balance=row.number("totalMarginBalance"),
        total_available_balance=row.number("totalAvailableBalance"),
        total_initial_margin=row.number("totalInitialMargin"),
        total_maintenance_margin=row.number("totalMaintenanceMargin"),
        coins=tuple(_read_coin(coin) for coin in coins),
        time_ms=time_ms,
        raw=raw,
    )


def read_greeks(raw: Raw) -> GreeksRow:
    """Read a row of the greeks stream. Raises AnswerError."""
    row = _Row("greeks", raw)
    return GreeksRow(
        base_coin=row.word("baseCoin"),
        delta=row.number("totalDelta"),
        gamma=row.number("totalGamma"),
        vega=row.number("totalVega"),
        theta=row.number("totalTheta"),
        raw=raw,
    )


def _read_coin(raw: Raw) -> CoinRow:
    row = _Row("wallet coin", raw)
    return CoinRow(
        coin=row.word("coin"),
        equity=row.number("equity"),
        wallet_balance=row.number("walletBalance"),
        locked=row.number("locked"),
        borrowed=row.number("borrowAmount"),
        unrealised_pnl=row.number("unrealisedPnl"),
        realised_pnl=row.number("cumRealisedPnl"),
        raw=raw,
    )


class _Row:
    """Takes fields out of one raw row; what it refuses is named with row, field and value."""

    def __init__(self, name: str, raw: object) -> None:
        if not isinstance(raw, Mapping):
            raise AnswerError(name, f"a row was {ascii(raw)[:NUMBER_CHARS_MAX]}, expected an object")
        self._name = name
        self._raw = raw

    def text(self, field: str) -> str:
        value = self._raw.get(field)
        if value is None:
            return ""
        if not isinstance(value, str) or len(value) > TEXT_CHARS_MAX or not value.isprintable():
            self.wrong(field, f"at most {TEXT_CHARS_MAX} printable characters")
        return value

    def word(self, field: str) -> str:
        return self.text(field) or self.missing(field)

    def number(self, field: str) -> Decimal | None:
        value = self._raw.get(field)
        if value is None or value == "":
            return None
        text = str(value) if type(value) is int else value
        if not isinstance(text, str) or len(text) > NUMBER_CHARS_MAX or not _NUMBER.fullmatch(text):
            self.wrong(field, "a decimal number as text")
        return Decimal(text)

    def integer(self, field: str) -> int | None:
        value = self._raw.get(field)
        if value is None or value == "":
            return None
        text = str(value) if type(value) is int else value
        if not isinstance(text, str) or not _INTEGER.fullmatch(text):
            self.wrong(field, "an integer")
        return int(text)

    def missing(self, field: str) -> NoReturn:
        raise AnswerError(self._name, f"{field} is missing")

    def wrong(self, field: str, rule: str) -> NoReturn:
        value = ascii(self._raw.get(field))[:NUMBER_CHARS_MAX]
        raise AnswerError(self._name, f"{field} was {value}, expected {rule}")
