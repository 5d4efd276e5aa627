"""An order is at the other end before the callback that sent it returns: plain and TLS, on both loops."""

import asyncio
import socket
import ssl
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
import uvloop
from picows import WSListener, ws_connect

from benchmarks.sender import read_request, upgrade_response
from engine.orders.prepared import ticket
from ext.order_frame import LinkIds
from ext.ticket import OrderGate
from tests.support.tickets import LIMIT, LINEAR, rates, symbol_limits

PEM = Path(__file__).parents[1] / "support" / "loopback.pem"
WAIT_S = 10.0
Run = Callable[[Coroutine[Any, Any, None]], None]


class Venue(threading.Thread):
    """Takes one connection, and hears the first bytes of it on a thread of its own."""

    def __init__(self, is_secure: bool) -> None:
        super().__init__()
        self.server = socket.create_server(("127.0.0.1", 0))
        self.is_secure = is_secure
        self.heard = threading.Event()
        self.data = b""

    @property
    def port(self) -> int:
        port: int = self.server.getsockname()[1]
        return port

    def run(self) -> None:
        connection, _ = self.server.accept()
        connection.settimeout(WAIT_S)
        if self.is_secure:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(PEM)
            connection = context.wrap_socket(connection, server_side=True)
        with connection:
            connection.sendall(upgrade_response(read_request(connection)))
            self.data = connection.recv(4096)
            self.heard.set()
            connection.recv(4096)


@pytest.mark.parametrize("is_secure", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def test_written_before_send_returns(run: Run, is_secure: bool) -> None:
    async def main() -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(PEM)
        context.check_hostname = False
        url = f"{'wss' if is_secure else 'ws'}://127.0.0.1:{venue.port}/v5/trade"
        transport, _ = await ws_connect(WSListener, url, ssl_context=context if is_secure else None)
        gate = OrderGate(LinkIds("bot1-1-"), lambda: None)
        gate.connect(transport)
        gate.set_clock(0, 0, 1 << 62)
        made = ticket(gate, symbol_limits(), LINEAR, LIMIT, rates=rates(), recv_window_ms=2000)
        assert made.send(1, 3_000_000) == 1
        # The loop does not turn here.
        assert venue.heard.wait(WAIT_S)
        assert made.send(1, 3_000_000) == 2
        transport.disconnect()
        await transport.wait_disconnected()

    venue = Venue(is_secure)
    venue.start()
    try:
        run(main())
    finally:
        venue.join(WAIT_S)
        venue.server.close()
    assert venue.data[0] == 0x81  # one text frame
    assert venue.data[1] & 0x80  # masked
