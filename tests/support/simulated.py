"""A simulator source without sockets: an outlet keeps what is sent, and time moves when the source waits."""

from typing import Any

import orjson

from simulator.generated import Generated
from simulator.hub import Hub
from simulator.instruments import listings
from simulator.source import IDLE, Source
from simulator.switches import Switches

START_NS = 1_790_000_000_000_000_000
SYMBOLS_THAT_SHORTEN_THE_LAP = ",".join(f"linear:X{number}USDT" for number in range(40))


def payloads(data: bytes) -> list[bytes]:
    """Return the payloads of unmasked websocket text frames."""
    found, place = [], 0
    while place < len(data):
        assert data[place] == 0x81
        size, place = data[place + 1], place + 2
        if size > 125:
            width = 2 if size == 126 else 8
            size, place = int.from_bytes(data[place : place + width], "big"), place + width
        found.append(data[place : place + size])
        place += size
    return found


class Outlet:
    """A connection that keeps the payloads it is sent."""

    def __init__(self, number: int = 1) -> None:
        self.number = number
        self.writable = True
        self.payloads: list[bytes] = []

    def write(self, data: bytes) -> None:
        """Keep what a connection would put on the wire."""
        self.payloads += payloads(data)

    def messages(self, topic: str | None = None) -> list[dict[str, Any]]:
        """Return what was sent, or what was sent of one topic."""
        found = [orjson.loads(payload) for payload in self.payloads]
        return [message for message in found if topic in (None, message.get("topic"))]


def play(source: Source, hub: Hub, now_ns: int) -> None:
    """Let a source publish until it ends or has nothing to do."""
    while (wait_s := source.play(now_ns)) is not None and wait_s != IDLE:
        hub.flush()
        now_ns += int(wait_s * 1e9)
    hub.flush()


class Played:
    """A generated market of short laps, played for so many data frames to one connection."""

    def __init__(
        self,
        symbol: str,
        topics: list[str],
        messages: int,
        seed: int = 1,
        rate: float | None = None,
        **switches: str,
    ) -> None:
        self.category, self.symbol = symbol.split(":")
        self.hub, self.outlet = Hub(None), Outlet()
        listed = listings(f"{symbol},{SYMBOLS_THAT_SHORTEN_THE_LAP}")
        self.source = Generated(
            listed, self.hub, Switches(**switches), lambda: START_NS, seed=seed, rate=rate, messages=messages
        )
        self.hub.join(self.outlet)
        for topic in topics:
            stream = self.hub.stream(self.category, topic)
            self.hub.subscribe(self.outlet, stream, self.source.opening(self.category, topic))
        play(self.source, self.hub, START_NS)

    def of(self, topic: str) -> list[dict[str, Any]]:
        """Return the messages of a topic."""
        return self.outlet.messages(topic)
