"""Merged tickers as cells of the `ticker` table.

A message changes a few fields of about forty: only those are parsed.
"""

from datetime import datetime
from typing import Any

from ext.native import decimal_cell

NUMBERS = {
    "lastPrice": "last_price",
    "bid1Price": "bid1_price",
    "bid1Size": "bid1_size",
    "ask1Price": "ask1_price",
    "ask1Size": "ask1_size",
    "bidPrice": "bid1_price",
    "bidSize": "bid1_size",
    "askPrice": "ask1_price",
    "askSize": "ask1_size",
    "markPrice": "mark_price",
    "indexPrice": "index_price",
    "prevPrice24h": "prev_price_24h",
    "highPrice24h": "high_price_24h",
    "lowPrice24h": "low_price_24h",
    "price24hPcnt": "price_24h_pcnt",
    "prevPrice1h": "prev_price_1h",
    "volume24h": "volume_24h",
    "turnover24h": "turnover_24h",
    "openInterest": "open_interest",
    "openInterestValue": "open_interest_value",
    "singleOpenInterest": "single_open_interest",
    "singleOpenInterestValue": "single_open_interest_value",
    "fundingRate": "funding_rate",
    "fundingCap": "funding_cap",
    "fundingIntervalHour": "funding_interval_hour",
    "basis": "basis",
    "basisRate": "basis_rate",
    "basisRateYear": "basis_rate_year",
    "deliveryFeeRate": "delivery_fee_rate",
    "predictedDeliveryPrice": "predicted_delivery_price",
    "preOpenPrice": "pre_open_price",
    "preQty": "pre_qty",
    "usdIndexPrice": "usd_index_price",
    "bidIv": "bid_iv",
    "askIv": "ask_iv",
    "markPriceIv": "mark_iv",
    "underlyingPrice": "underlying_price",
    "delta": "delta",
    "gamma": "gamma",
    "vega": "vega",
    "theta": "theta",
    "totalVolume": "total_volume",
    "totalTurnover": "total_turnover",
    "change24h": "change_24h",
}
TIMES = {"nextFundingTime": "next_funding_time", "deliveryTime": "delivery_time"}
TEXTS = {"tickDirection": "tick_direction", "curPreListingPhase": "listing_phase"}


class TickerRow:
    """One symbol's merged ticker: `values` holds a cell for every column that a ticker message can fill."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self._clear()

    def _clear(self) -> None:
        self.values = dict.fromkeys(NUMBERS.values()) | dict.fromkeys(TIMES.values())
        self.values |= dict.fromkeys(TEXTS.values(), "")
        self.values["extra"] = {}

    def update(self, fields: dict[str, str], is_snapshot: bool) -> None:
        """Merge the fields of one message; a snapshot forgets what was known.

        A field without a column, or whose value its column cannot hold, is kept as sent in `extra`.
        """
        if is_snapshot:
            self._clear()
        for field, text in fields.items():
            if field == "symbol":
                continue
            column = NUMBERS.get(field) or TIMES.get(field) or TEXTS.get(field)
            cell = _cell(field, str(text)) if column else None
            if column and (cell is not None or text in ("", None)):
                self.values[column] = cell
                self.values["extra"].pop(field, None)
            else:
                if column:
                    self.values[column] = None
                self.values["extra"][field] = str(text)


def _cell(field: str, text: str) -> Any:
    """The cell of a field, or None where the text is empty or no value of its column."""
    if field in TEXTS:
        return text
    if not text:
        return None
    return _time_ms(text) if field in TIMES else _number(text)


def _number(text: str) -> bytes | None:
    try:
        return decimal_cell(text)
    except ValueError:
        return None


def _time_ms(text: str) -> int | None:
    """Milliseconds since the epoch, from such a number or from ISO 8601 text (the venue sends both)."""
    if text.isdigit():
        return int(text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return int(moment.timestamp() * 1000) if moment.tzinfo else None
