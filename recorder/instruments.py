"""What REST records say of instruments: scales for a dispatcher, rows of the `instrument` table."""

from collections.abc import Iterable, Iterator
from typing import Any, Final

import orjson

from engine.bybit.instruments import Instrument, sort_out
from ext.columns import Columns
from ext.dispatch import Dispatcher

__all__ = ["USE", "InstrumentRows", "payloads", "set_scales"]

USE: Final = "instruments"
RECORD_BYTES: Final = 1 << 20  # a longer list is parted into several records
PATHS: Final = ("instruments-info", "spread/instrument")


def payloads(category: str, instruments: Iterable[Instrument]) -> Iterator[dict[str, Any]]:
    """Yield the payloads of REST records that say these instruments, each entry as the venue spelled it."""
    part: list[bytes] = []
    size = 0
    for instrument in instruments:
        entry = orjson.dumps(instrument.raw)
        if part and size + len(entry) > RECORD_BYTES:
            yield _payload(category, part)
            part, size = [], 0
        part.append(entry)
        size += len(entry)
    if part:
        yield _payload(category, part)


class InstrumentRows:
    """Makes the rows of the `instrument` table: one where an instrument is new or changed.

    It has to see the records of a spool from the first one on, or from where its state was saved.
    """

    def __init__(self) -> None:
        self._latest: dict[tuple[str, str], bytes] = {}

    def state(self) -> list[tuple[str, str, bytes]]:
        """Return the instruments as last seen, as plain values."""
        return [(*key, raw) for key, raw in self._latest.items()]

    def restore(self, state: list[tuple[str, str, bytes]]) -> None:
        """Take what `state` returned for what was seen."""
        self._latest = {(category, symbol): raw for category, symbol, raw in state}

    def append(self, columns: Columns, payload: dict[str, Any], recv_ns: int, position: int) -> None:
        """Append the rows of a REST record; records of other requests append nothing."""
        for row in self.rows(payload, recv_ns, position):
            columns.append("instrument", row)

    def rows(self, payload: dict[str, Any], recv_ns: int, position: int) -> Iterator[dict[str, Any]]:
        """Yield the rows of a REST record; none for records of other requests."""
        for instrument in _listed(payload):
            key = (instrument.category, instrument.symbol)
            row = _row(instrument)
            if self._latest.get(key) != row["raw"]:
                self._latest[key] = row["raw"]
                yield row | {"valid_from": recv_ns, "position": position}


def set_scales(dispatcher: Dispatcher, payload: dict[str, Any]) -> None:
    """Let books begin with the decimals of their instruments, as live."""
    for instrument in _listed(payload):
        dispatcher.scales(instrument.symbol, instrument.price_scale, instrument.size_scale)


def _payload(category: str, entries: list[bytes]) -> dict[str, Any]:
    path = "/v5/spread/instrument" if category == "spread" else "/v5/market/instruments-info"
    head = b'{"retCode":0,"retMsg":"OK","result":{"category":"' + category.encode() + b'","list":['
    body = head + b",".join(entries) + b"]}}"
    query = {"category": category}
    return {"path": path, "query": query, "category": category, "use": USE, "body": body.decode()}


def _listed(payload: dict[str, Any]) -> Iterable[Instrument]:
    """Return the instruments of a REST record; none where it was another request."""
    if not payload["path"].endswith(PATHS):
        return ()
    body = orjson.loads(payload["body"]) if isinstance(payload["body"], str) else payload["body"]
    return sort_out(payload["category"], body["result"]["list"]).instruments.values()


def _row(one: Instrument) -> dict[str, Any]:
    return {
        "category": one.category,
        "symbol": one.symbol,
        "status": one.status,
        "phase": one.phase,
        "contract_type": one.contract_type,
        "base_coin": one.base_coin,
        "quote_coin": one.quote_coin,
        "settle_coin": one.settle_coin,
        "launch_time": one.launch_ms or None,
        "delivery_time": one.delivery_ms or None,
        "tick_size": one.price_tick,
        "min_price": one.min_price,
        "max_price": one.max_price,
        "lot_size": one.size_step,
        "min_size": one.min_size,
        "max_size": one.max_size,
        "min_notional": one.min_notional,
        "raw": orjson.dumps(one.raw),
    }
