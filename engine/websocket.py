"""How a connection is opened, and what is asked of an open one; the only module that opens a socket."""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol

from picows import WSError, WSListener, WSMsgType, WSTransport, ws_connect
from picows.picows import WSCloseHandshake

from engine.config import FeedOptions
from ext.frames import FrameListener

__all__ = ["Opener", "Transport", "WebsocketOpener", "close_reason", "failure_reason", "socket_of"]


class Transport(Protocol):
    """An open connection: the part of picows' ``WSTransport`` that a `Connection` uses."""

    @property
    def close_handshake(self) -> WSCloseHandshake | None:
        """The close frames that were exchanged, if any."""

    def send(self, msg_type: WSMsgType, message: Any, /) -> None:
        """Send one message."""

    def send_close(self) -> None:
        """Begin an orderly end."""

    def disconnect(self, graceful: bool = True) -> None:
        """Close the connection: after what is still to be sent, or at once."""

    async def wait_disconnected(self) -> None:
        """Return once the connection is closed and its listener knows."""


# Opens a connection to a URL and returns it. Messages go to the FrameListener, by its picows callbacks or by
# `opened`, `received` and `closed`; `opened` comes before the opener returns. Whatever it raises is a failed
# attempt, told apart by `failure_reason`.
Opener = Callable[[FrameListener, str, FeedOptions], Awaitable[Transport]]


class WebsocketOpener:
    """Opens websockets over TCP, with TLS for ``wss://``: what a feed uses unless given another opener."""

    def __init__(self) -> None:
        self._tls: ssl.SSLContext | None = None

    async def __call__(self, frames: WSListener, url: str, options: FeedOptions) -> Transport:
        """Open one; within ``connect_timeout_s`` or not at all."""
        async with asyncio.timeout(options.connect_timeout_s):
            transport, _ = await ws_connect(
                lambda: frames,
                url,
                ssl_context=self._context() if url.startswith("wss:") else None,
                disconnect_on_exception=False,
                websocket_handshake_timeout=None,
                enable_auto_pong=False,
                max_frame_size=options.message_bytes_max,
                max_redirects=0,
            )
        raw = socket_of(transport)
        assert raw is not None
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, options.receive_buffer_bytes)
        return transport

    def _context(self) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = ssl.create_default_context()
        return self._tls


def socket_of(transport: Transport) -> socket.socket | None:
    """Return the socket of a connection; None where there is none, as in memory."""
    if not isinstance(transport, WSTransport):
        return None
    raw: socket.socket | None = transport.underlying_transport.get_extra_info("socket")
    return raw


FAILURES: Final[tuple[tuple[type[Exception], str], ...]] = (
    (TimeoutError, "timeout"),
    (ssl.SSLError, "tls"),
    (socket.gaierror, "dns"),
    (ConnectionRefusedError, "refused"),
    (OSError, "network"),
    (WSError, "handshake"),
)


def failure_reason(error: Exception) -> str:
    """Say in one word why an attempt to connect failed."""
    return next((reason for kind, reason in FAILURES if isinstance(error, kind)), "internal")


def close_reason(transport: Transport) -> tuple[str, str]:
    """Return cause and detail of the end of a connection that this side did not end."""
    handshake = transport.close_handshake
    if handshake is None:
        return "lost", "closed without a close frame"
    # Where this side sent its close frame first, it refused what came (a message too big, a broken frame).
    cause, info = ("closed", handshake.recv) if handshake.recv_then_sent else ("protocol", handshake.sent)
    return cause, f"code {info.code.value} {info.reason or ''}".rstrip() if info is not None else ""
