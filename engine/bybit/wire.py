"""Names and numbers as the venue writes them: ``order_type`` is ``orderType``, every quantity is text."""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, Final, TypedDict

from engine.errors import ConfigError, nearest

__all__ = [
    "AMEND_FIELDS",
    "CANCEL_FIELDS",
    "ORDER_FIELDS",
    "TRADING_STOP_FIELDS",
    "AmendOptions",
    "Number",
    "OrderOptions",
    "body",
    "query",
    "wire_name",
]

Number = str | int | Decimal  # never float: what is sent must be what was meant


class OrderOptions(TypedDict, total=False):
    """What an order may have besides its category and symbol; the venue says what each does."""

    side: str
    order_type: str
    qty: Number
    price: Number | None
    time_in_force: str
    order_link_id: str
    position_idx: int
    reduce_only: bool
    close_on_trigger: bool
    trigger_price: Number
    trigger_direction: int
    trigger_by: str
    order_filter: str
    take_profit: Number
    stop_loss: Number
    tp_trigger_by: str
    sl_trigger_by: str
    tpsl_mode: str
    tp_order_type: str
    sl_order_type: str
    tp_limit_price: Number
    sl_limit_price: Number
    market_unit: str
    slippage_tolerance_type: str
    slippage_tolerance: Number
    bbo_side_type: str
    bbo_level: Number
    smp_type: str
    is_leverage: int
    rpi_taker_access: bool
    order_iv: Number
    mmp: bool


class AmendOptions(TypedDict, total=False):
    """What of an order may be changed; ``qty`` is the new total."""

    qty: Number
    price: Number
    trigger_price: Number
    take_profit: Number
    stop_loss: Number
    tpsl_mode: str
    tp_trigger_by: str
    sl_trigger_by: str
    trigger_by: str
    tp_limit_price: Number
    sl_limit_price: Number
    order_iv: Number


IDS: Final = frozenset({"order_id", "order_link_id"})
ORDER_FIELDS: Final = frozenset(OrderOptions.__annotations__)
AMEND_FIELDS: Final = frozenset(AmendOptions.__annotations__) | IDS
CANCEL_FIELDS: Final = IDS | {"order_filter"}
TRADING_STOP_FIELDS: Final = (
    AMEND_FIELDS - IDS - {"qty", "price", "trigger_price", "trigger_by", "order_iv"}
) | {
    "position_idx",
    "trailing_stop",
    "active_price",
    "tp_size",
    "sl_size",
    "tp_order_type",
    "sl_order_type",
}
# What the venue wants as a number, and as a truth value.
INTEGERS: Final = frozenset({"position_idx", "trigger_direction", "is_leverage", "time_window", "mode"})
FLAGS: Final = frozenset({"reduce_only", "close_on_trigger", "rpi_taker_access", "mmp"})


def wire_name(name: str) -> str:
    """Return the venue's spelling of a name."""
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


def body(fields: Mapping[str, object], known: Iterable[str] = ()) -> dict[str, object]:
    """Return fields as a request has them; None and "" are left out.

    With ``known``, another name is refused with the nearest right one. Numbers must be exact: text, int or
    Decimal. Raises ConfigError.
    """
    names = frozenset(known)
    for name in fields:
        if names and name not in names:
            similar = nearest(name, names) or tuple(sorted(names))
            raise ConfigError(name, fields[name], "there is no such field", "use " + " or ".join(similar))
    present = ((name, value) for name, value in fields.items() if value is not None and value != "")
    return {wire_name(name): _value(name, value) for name, value in present}


def query(**fields: object) -> dict[str, str]:
    """Return the parameters of a GET; None, "" and 0 are left out."""
    return {wire_name(name): str(value) for name, value in fields.items() if value not in (None, "", 0)}


def _value(name: str, value: object) -> Any:
    if name in FLAGS:
        if not isinstance(value, bool):
            raise ConfigError(name, value, "is True or False")
        return value
    if isinstance(value, bool | float):
        raise ConfigError(name, value, "is no exact number", "give text, an int or a Decimal")
    if name in INTEGERS:
        if not isinstance(value, int):
            raise ConfigError(name, value, "is a whole number", "give an int")
        return value
    if isinstance(value, Decimal):
        if not value.is_finite():
            raise ConfigError(name, value, "is no number")
        return format(value, "f")
    if isinstance(value, int | str):
        return str(value)
    raise ConfigError(name, value, "is no text and no exact number", "give text, an int or a Decimal")
