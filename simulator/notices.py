"""Topics of a coin and of the venue: insurance pools, ADL alerts, system status."""

from typing import Any

import orjson

from simulator.hub import Hub, Stream
from simulator.instruments import Instrument
from simulator.topics import COINS, STATUS, STATUS_TOPIC

NOTICE_MS = 1_000
BALANCE_CENTS = 2_035_232
STATUS_ID = "5f0ad1c2-7be4-5a31-9c6e-%012x"


class Notices:
    """Publishes once a second of market time what is subscribed, about the first instrument that fits."""

    def __init__(self, hub: Hub, ms: int) -> None:
        self._hub = hub
        self._due_ms = ms
        self._statuses: list[dict[str, Any]] = []
        self._insurance = {
            (category, coin): hub.stream(category, f"insurance.{coin}")
            for category, coins in COINS.items()
            for coin in coins
        }
        self._adl = {
            (category, coin): hub.stream(category, f"adlAlert.{coin}") for category, coin in self._insurance
        }

    def look_who_watches(self) -> bool:
        """Return whether anybody is subscribed."""
        return any(one.subscribers for one in (*self._insurance.values(), *self._adl.values()))

    def publish(self, ms: int, instruments: list[Instrument]) -> None:
        """Publish what is due."""
        if ms < self._due_ms:
            return
        self._due_ms = ms + NOTICE_MS
        for streams, make in ((self._insurance, self._pool), (self._adl, self._alert)):
            for (category, coin), stream in streams.items():
                named = _symbols(category, coin, instruments)
                if stream.subscribers and named:
                    kind = "delta" if streams is self._insurance else "snapshot"
                    self._hub.publish(stream, _frame(stream, kind, ms, [make(coin, named[0], ms)]))

    def opening(self, category: str, topic: str, ms: int, instruments: list[Instrument]) -> list[bytes]:
        """Return the snapshot that a subscription begins with."""
        stream = self._hub.stream(category, topic)
        if category == STATUS:
            return [_frame(stream, None, ms, self._statuses)] if self._statuses else []
        kind, _, coin = topic.partition(".")
        make = self._pool if kind == "insurance" else self._alert
        return [
            _frame(
                stream, "snapshot", ms, [make(coin, one, ms) for one in _symbols(category, coin, instruments)]
            )
        ]

    def _pool(self, coin: str, symbol: str, ms: int) -> dict[str, Any]:
        cents = BALANCE_CENTS + ms // NOTICE_MS % 10_000
        balance = f"{cents // 100}.{cents % 100:02}"
        return {"coin": _coin(coin, symbol), "symbols": symbol, "balance": balance, "updateTime": str(ms)}

    def _alert(self, coin: str, symbol: str, ms: int) -> dict[str, Any]:
        balance = round(-5421.29 - ms // NOTICE_MS % 100, 2)
        return {
            "c": _coin(coin, symbol),
            "s": symbol,
            "b": balance,
            "mb": "",
            "i_pr": -0.3,
            "pr": 0,
            "adl_tt": 10000,
            "adl_sr": -0.25,
        }

    def announce(self, title: str, state: str, ms: int) -> None:
        """Tell everybody of a maintenance."""
        number = len(self._statuses) + 1
        status = {
            "id": STATUS_ID % number,
            "title": title,
            "state": state,
            "begin": str(ms),
            "end": str(ms + 600_000),
            "href": "",
            "serviceTypes": [2, 3, 5],
            "product": [1, 2],
            "uidSuffix": [],
            "maintainType": 1,
            "env": 1,
        }
        self._statuses.append(status)
        stream = self._hub.stream(STATUS, STATUS_TOPIC)
        self._hub.publish(stream, _frame(stream, None, ms, [status]))

    def statuses(self) -> list[dict[str, Any]]:
        """Return what was announced, oldest first."""
        return list(self._statuses)


def _coin(coin: str, symbol: str) -> str:
    return symbol.removesuffix("USD") if coin == "inverse" else coin


def _symbols(category: str, coin: str, instruments: list[Instrument]) -> list[str]:
    return [
        one.symbol
        for one in instruments
        if one.category == category and one.status == "Trading" and coin in ("inverse", one.settle_coin())
    ]


def _frame(stream: Stream, kind: str | None, ms: int, data: list[dict[str, Any]]) -> bytes:
    head = {"topic": stream.topic} if kind is None else {"topic": stream.topic, "type": kind}
    return orjson.dumps({**head, "ts": ms, "data": data})
