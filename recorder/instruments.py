"""What REST records say of instruments: scales for a dispatcher, rows of the `instrument` table."""

from collections.abc import Iterator
from typing import Any

import orjson

from engine.bybit.instruments import parse
from ext.columns import Columns
from ext.dispatch import Dispatcher

__all__ = ["append_instruments", "instrument_rows", "set_scales"]

PATH = "instruments-info"


def append_instruments(columns: Columns, payload: dict[str, Any], recv_ns: int, position: int) -> None:
    """Append a row for each instrument of a REST record; records of other requests append nothing."""
    for row in instrument_rows(payload, recv_ns, position):
        columns.append("instrument", row)


def instrument_rows(payload: dict[str, Any], recv_ns: int, position: int) -> Iterator[dict[str, Any]]:
    """Yield a row for each instrument of a REST record; none for records of other requests."""
    for instrument in _listed(payload):
        row = _row(payload["category"], instrument)
        yield row | {"valid_from": recv_ns, "position": position}


def set_scales(dispatcher: Dispatcher, payload: dict[str, Any]) -> None:
    """Let books begin with the decimals of their instruments, as live. Raises AnswerError."""
    for raw in _listed(payload):
        instrument = parse(payload["category"], raw)
        dispatcher.scales(instrument.symbol, instrument.price_scale, instrument.size_scale)


def _listed(payload: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the instruments of a REST record; none where it was another request."""
    if PATH not in payload["path"]:
        return []
    body = orjson.loads(payload["body"]) if isinstance(payload["body"], str) else payload["body"]
    found: list[dict[str, Any]] = body["result"]["list"]
    return found


def _row(category: str, instrument: dict[str, Any]) -> dict[str, Any]:
    price = instrument.get("priceFilter") or {}
    lot = instrument.get("lotSizeFilter") or {}
    return {
        "category": category,
        "symbol": instrument["symbol"],
        "status": instrument.get("status", ""),
        "contract_type": instrument.get("contractType", ""),
        "base_coin": instrument.get("baseCoin", ""),
        "quote_coin": instrument.get("quoteCoin", ""),
        "settle_coin": instrument.get("settleCoin", ""),
        "launch_time": _time_ms(instrument.get("launchTime")),
        "delivery_time": _time_ms(instrument.get("deliveryTime")),
        "tick_size": price.get("tickSize") or None,
        "min_price": price.get("minPrice") or None,
        "max_price": price.get("maxPrice") or None,
        "lot_size": lot.get("qtyStep") or lot.get("basePrecision") or None,
        "min_size": lot.get("minOrderQty") or None,
        "max_size": lot.get("maxOrderQty") or None,
        "min_notional": lot.get("minNotionalValue") or lot.get("minOrderAmt") or None,
        "raw": orjson.dumps(instrument),
    }


def _time_ms(text: object) -> int | None:
    number = int(str(text)) if str(text).isdigit() else 0
    return number or None
