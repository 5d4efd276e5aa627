"""A gate over a real socket pair: what a Ticket writes can be read at the other end, without a server."""

import asyncio
import logging
import socket
from types import TracebackType
from typing import Any

from picows import WSTransport

from engine.bybit.instruments import Instrument
from engine.orders.prepared import Rates, ticket
from ext.guard import RateWindow, SymbolLimits
from ext.order_frame import LinkIds
from ext.ticket import OrderGate, Ticket

LINEAR = Instrument(
    category="linear",
    symbol="BTCUSDT",
    base_coin="BTC",
    quote_coin="USDT",
    settle_coin="USDT",
    contract_type="LinearPerpetual",
    status="Trading",
    phase="",
    price_tick="0.10",
    size_step="0.001",
    price_scale=2,
    size_scale=3,
    min_price="0.10",
    max_price="199999.80",
    min_size="0.001",
    max_size="100",
    min_notional="5",
    launch_ms=0,
    delivery_ms=0,
    raw={},
)
LIMIT = {"side": "Buy", "orderType": "Limit", "timeInForce": "PostOnly"}


class PairTransport:
    """The part of an asyncio transport that picows uses, over one end of a socket pair."""

    def __init__(self, end: socket.socket) -> None:
        self.end = end
        self.waiting = 0

    def get_extra_info(self, name: str, default: object = None) -> Any:
        return self.end if name == "socket" else default

    def get_write_buffer_size(self) -> int:
        return self.waiting

    def write(self, data: bytes) -> None:
        self.waiting += len(data)


class Wire:
    """An open gate whose requests are read with `requests`."""

    def __init__(self) -> None:
        ours, self.theirs = socket.socketpair()
        ours.setblocking(False)
        self.loop = asyncio.new_event_loop()
        self.underlying = PairTransport(ours)
        transport = WSTransport(True, self.underlying, logging.getLogger("wire"), self.loop)  # type: ignore[call-arg]  # its stub hides the constructor
        self.woken = 0
        self.gate = OrderGate(LinkIds("bot1-1-"), self._wake)
        self.gate.connect(transport)
        self.gate.set_clock(0, 0, 1 << 62)

    def _wake(self) -> None:
        self.woken += 1

    def requests(self) -> list[bytes]:
        """Return the payloads of all frames written since the last call, each masked as a client's."""
        self.theirs.setblocking(False)
        try:
            data = self.theirs.recv(1 << 20)
        except BlockingIOError:
            return []
        payloads = []
        while data:
            assert data[0] == 0x81
            assert data[1] & 0x80
            size, head = data[1] & 0x7F, 2
            if size == 126:
                size, head = int.from_bytes(data[2:4], "big"), 4
            mask, payload = data[head : head + 4], data[head + 4 : head + 4 + size]
            payloads.append(bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload)))
            data = data[head + 4 + size :]
        return payloads

    def __enter__(self) -> "Wire":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.underlying.end.close()
        self.theirs.close()
        self.loop.close()


def symbol_limits(**limits: int) -> SymbolLimits:
    """Limits of LINEAR."""
    return SymbolLimits(
        **{
            "price_scale": 2,
            "size_scale": 3,
            "tick": 10,
            "step": 1,
            "min_price": 10,
            "max_price": 19_999_980,
            "min_qty": 1,
            "max_qty": 100_000,
        }
        | limits
    )


def rates(per_second: int = 1000) -> Rates:
    return RateWindow(per_second), RateWindow(per_second), RateWindow(per_second)


def order_ticket(wire: Wire, limits: SymbolLimits | None = None, **fields: Any) -> Ticket:
    per_second = fields.pop("per_second", 1000)
    return ticket(
        wire.gate,
        limits or symbol_limits(),
        LINEAR,
        LIMIT | fields,
        rates=rates(per_second),
        recv_window_ms=2000,
    )
