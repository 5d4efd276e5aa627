"""pybit's own way of a message, from the text its socket thread hands over to the user's callback.

The manager is the library's; only the socket is missing. The callback reads `data["b"][0]` and `data["a"][0]`
as the best prices, as a user would: the snapshot is sorted so.
"""

from decimal import Decimal
from typing import Any

from pybit._websocket_stream import _V5WebSocketManager

from benchmarks.peers import Best, Peer
from benchmarks.stream import SYMBOL, Level, Levels


class PybitBook(Peer):
    title = "pybit"
    libraries = ("pybit",)
    shorten = 40

    def __init__(self, depth: int) -> None:
        self.topic = f"orderbook.{depth}.{SYMBOL}"
        self.manager = _V5WebSocketManager("benchmark", testnet=False)
        self.manager._set_callback(self.topic, self.on_book)
        self.seen = ("0", "0")

    def on_book(self, message: dict[str, Any]) -> None:
        data = message["data"]
        self.seen = data["b"][0][0], data["a"][0][0]

    def run(self, frames: list[bytes]) -> None:
        on_message = self.manager._on_message
        for frame in frames:
            on_message(str(frame, "utf-8"))

    def best(self) -> Best:
        return Decimal(self.seen[0]), Decimal(self.seen[1])

    def levels(self, count: int) -> Levels:
        data = self.manager.data[self.topic]
        return side(data["b"][:count]), side(data["a"][:count])


def side(levels: list[list[str]]) -> list[Level]:
    return [(Decimal(price), Decimal(size)) for price, size in levels]


IMPLEMENTATION = PybitBook
