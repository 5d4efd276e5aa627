"""Instruments as NautilusTrader has them in a catalog: one row of the class that fits.

Fees and margins are 0: they are an account's, and no part of what the venue says of an instrument.
"""

import json
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

import pyarrow as pa

__all__ = ["instrument"]

_TEXT: Final = pa.dictionary(pa.int16(), pa.string())
_COMMON: Final = {"id": pa.dictionary(pa.int64(), pa.string()), "raw_symbol": pa.string()}
_DATED: Final = {"activation_ns": pa.uint64(), "expiration_ns": pa.uint64()}
_CONTRACT: Final = {"quote_currency": _TEXT, "settlement_currency": _TEXT, "is_inverse": pa.bool_()}
_STEPS: Final = {
    "price_precision": pa.uint8(),
    "size_precision": pa.uint8(),
    "price_increment": _TEXT,
    "size_increment": _TEXT,
    "multiplier": _TEXT,
}
_LIMITS: Final = {
    **{f"{end}_{of}": _TEXT for of in ("quantity", "notional", "price") for end in ("max", "min")},
    **{name: pa.string() for name in ("margin_init", "margin_maint", "maker_fee", "taker_fee")},
    "info": pa.binary(),
    "ts_event": pa.uint64(),
    "ts_init": pa.uint64(),
}
_LOT: Final = {"lot_size": _TEXT}
_CLASSES: Final = {
    "CurrencyPair": _COMMON | {"base_currency": _TEXT, "quote_currency": _TEXT} | _STEPS | _LOT | _LIMITS,
    "CryptoPerpetual": _COMMON | {"base_currency": _TEXT} | _CONTRACT | _STEPS | _LIMITS,
    "CryptoFuture": _COMMON | {"underlying": _TEXT} | _CONTRACT | _DATED | _STEPS | _LOT | _LIMITS,
    "CryptoOption": _COMMON
    | {"underlying": _TEXT}
    | _CONTRACT
    | {"option_kind": pa.dictionary(pa.int8(), pa.string()), "strike_price": pa.string()}
    | _DATED
    | _STEPS
    | _LIMITS,
}
_FILES: Final = {
    "CurrencyPair": "currency_pair",
    "CryptoPerpetual": "crypto_perpetual",
    "CryptoFuture": "crypto_future",
    "CryptoOption": "crypto_option",
}


def instrument(row: dict[str, Any], name: str, price: int, size: int) -> tuple[str, pa.Table] | None:
    """Return the catalog's folder and the row of an instrument; None for a kind that there is not.

    Args:
        row: of the view `instruments`.
        name: what the catalog calls it.
        price: the digits of its prices.
        size: the digits of its sizes.
    """
    kind = _class(row)
    if kind is None:
        return None
    values = _values(row, name, price, size)
    if kind == "CryptoOption":
        values |= _option(row, price)
    schema = pa.schema(list(_CLASSES[kind].items()), metadata={"class": kind})
    columns = [pa.array([values.get(field.name)], field.type) for field in schema]
    return _FILES[kind], pa.table(columns, schema)


def _class(row: dict[str, Any]) -> str | None:
    category, contract = row["category"], row["contract_type"]
    if category == "spot":
        return "CurrencyPair"
    if category == "option":
        return "CryptoOption"
    if category in ("linear", "inverse"):
        return "CryptoFuture" if contract.endswith("Futures") else "CryptoPerpetual"
    return None


def _values(row: dict[str, Any], name: str, price: int, size: int) -> dict[str, Any]:
    def text(value: Decimal | None, digits: int) -> str | None:
        return f"{value:.{digits}f}" if value else None

    notional = row["min_notional"]
    return {
        "id": name,
        "raw_symbol": row["symbol"],
        "base_currency": row["base_coin"],
        "underlying": row["base_coin"],
        "quote_currency": row["quote_coin"],
        "settlement_currency": row["settle_coin"] or row["quote_coin"],
        "is_inverse": row["category"] == "inverse",
        "activation_ns": _ns(row["launch_time"]),
        "expiration_ns": _ns(row["delivery_time"]),
        "price_precision": price,
        "size_precision": size,
        "price_increment": text(row["tick_size"], price) or text(Decimal(1).scaleb(-price), price),
        "size_increment": text(row["lot_size"], size) or text(Decimal(1).scaleb(-size), size),
        "multiplier": "1",
        "max_quantity": text(row["max_size"], size),
        "min_quantity": text(row["min_size"], size),
        "min_notional": f"{notional.normalize():f} {row['quote_coin']}" if notional else None,
        "max_price": text(row["max_price"], price),
        "min_price": text(row["min_price"], price),
        "margin_init": "0",
        "margin_maint": "0",
        "maker_fee": "0",
        "taker_fee": "0",
        "info": row["raw"].encode(),
        "ts_event": row["valid_ns"],
        "ts_init": row["valid_ns"],
    }


def _option(row: dict[str, Any], price: int) -> dict[str, Any]:
    """Return what only options have: their symbol tells the strike, BTC-26DEC26-100000-C."""
    strike = row["symbol"].split("-")[2]
    kind = str(json.loads(row["raw"]).get("optionsType", ""))
    return {"option_kind": kind.upper(), "strike_price": f"{Decimal(strike):.{price}f}"}


def _ns(time: datetime | None) -> int:
    return 0 if time is None else round(time.timestamp() * 1000) * 1_000_000
