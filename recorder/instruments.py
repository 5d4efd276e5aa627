"""Rows of the `instrument` table from the venue's instruments-info answers."""

from typing import Any

import orjson

from ext.columns import Columns

__all__ = ["append_instruments"]

PATH = "instruments-info"


def append_instruments(columns: Columns, payload: dict[str, Any], recv_ns: int, position: int) -> None:
    """Append a row for each instrument of a REST record; records of other requests append nothing."""
    if PATH not in payload["path"]:
        return
    body = orjson.loads(payload["body"]) if isinstance(payload["body"], str) else payload["body"]
    result = body.get("result", body)
    category = payload.get("category") or result.get("category", "")
    for instrument in result.get("list", ()):
        columns.append(
            "instrument", _row(category, instrument) | {"valid_from": recv_ns, "position": position}
        )


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
