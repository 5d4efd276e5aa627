"""The other end of the wire: sends a saved stream to one websocket client as fast as the client reads.

All frames are rendered before the client comes: sending costs little more than the system calls. It listens
on loopback, prints its port, shakes hands, waits for the client's first frame, sends everything and closes:
`python -m benchmarks.sender FOLDER CORE`.
"""

import base64
import hashlib
import socket
import struct
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from benchmarks import stream
from benchmarks.harness import pin

ACCEPT_KEY: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
TEXT_HEADER: Final = 0x81
CLIENT_WAIT_S: Final = 60
REQUEST_BYTES_MAX: Final = 16 * 1024
SEND_BYTES: Final = 64 * 1024


def render(payload: bytes) -> bytes:
    """Return the unmasked text frame of one payload."""
    size = len(payload)
    if size < 126:
        return struct.pack("!BB", TEXT_HEADER, size) + payload
    if size < 1 << 16:
        return struct.pack("!BBH", TEXT_HEADER, 126, size) + payload
    return struct.pack("!BBQ", TEXT_HEADER, 127, size) + payload


def read_request(client: socket.socket) -> bytes:
    request = b""
    while b"\r\n\r\n" not in request:
        part = client.recv(REQUEST_BYTES_MAX)
        if not part or len(request) > REQUEST_BYTES_MAX:
            raise ConnectionError(f"the client's handshake ended early or is too long: {request[:200]!r}")
        request += part
    return request


def upgrade_response(request: bytes) -> bytes:
    headers = dict(line.split(b":", 1) for line in request.split(b"\r\n")[1:] if b":" in line)
    key = next(value.strip() for name, value in headers.items() if name.lower() == b"sec-websocket-key")
    accept = base64.b64encode(hashlib.sha1(key + ACCEPT_KEY, usedforsecurity=False).digest())
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
    )


def serve(frames: Iterable[bytes]) -> None:
    wire = memoryview(b"".join(map(render, frames)))
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(CLIENT_WAIT_S)
        print(server.getsockname()[1], flush=True)
        client, _ = server.accept()
    with client:
        client.settimeout(CLIENT_WAIT_S)
        client.sendall(upgrade_response(read_request(client)))
        client.recv(REQUEST_BYTES_MAX)
        for offset in range(0, len(wire), SEND_BYTES):
            client.sendall(wire[offset : offset + SEND_BYTES])


def main() -> None:
    folder, core = sys.argv[1:]
    pin(int(core))
    serve(stream.load_frames(Path(folder)))


if __name__ == "__main__":
    main()
