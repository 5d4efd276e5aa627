"""From messages to bytes, and how the bytes travel."""

from random import Random

from simulator.faults import Binary, Item, Message, Ping, Raw, Reset, Shape

TEXT, BINARY, PING, CONTINUATION = 1, 2, 9, 0
LAST = 0x80
PIECES_PER_S = 20
"""A slow connection gets its bytes so often."""


def _frame(head: int, payload: bytes) -> bytes:
    size = len(payload)
    if size < 126:
        return b"%c%c%b" % (head, size, payload)
    if size < 65_536:
        return b"%c\x7e" % head + size.to_bytes(2, "big") + payload
    return b"%c\x7f" % head + size.to_bytes(8, "big") + payload


def websocket_frame(payload: bytes) -> bytes:
    """Return a complete, unmasked text frame; spelled out, for every data frame passes here."""
    size = len(payload)
    if size < 126:
        return b"\x81%c%b" % (size, payload)
    if size < 65_536:
        return b"\x81\x7e" + size.to_bytes(2, "big") + payload
    return b"\x81\x7f" + size.to_bytes(8, "big") + payload


def websocket_message(item: Message) -> bytes:
    """Return the frame or frames of a message."""
    if isinstance(item, bytes):
        return websocket_frame(item)
    if isinstance(item, Binary):
        return _frame(LAST | BINARY, item.payload)
    if isinstance(item, Ping):
        return _frame(LAST | PING, b"")
    size = -(-len(item.payload) // item.parts)
    parts = [item.payload[place : place + size] for place in range(0, len(item.payload), size)]
    heads = [TEXT] + [CONTINUATION] * (len(parts) - 1)
    heads[-1] |= LAST
    return b"".join(_frame(head, part) for head, part in zip(heads, parts, strict=True))


class Wire:
    """Carries bytes in order as a shape says. Times are ns of the clock that the caller reads."""

    def __init__(self, shape: Shape, before: "Wire | None", now_ns: int) -> None:
        self._shape = shape
        self._random = Random(shape.latency_ns)  # noqa: S311 (jitter, not a secret)
        self._left = shape.limit_bytes
        earlier_ns: int = before.last_ns if before is not None else 0
        self.last_ns: int = max(earlier_ns, now_ns + shape.blocked_ns)

    def carry(self, data: bytes, now_ns: int) -> list[tuple[int, Item]]:
        """Return the pieces of what is written now, each with its arrival; a reset where a limit is met."""
        shape = self._shape
        carried = data if not shape.limit_bytes else data[: self._left]
        self._left -= len(carried)
        size = shape.slice_bytes or shape.bytes_per_s // PIECES_PER_S or max(1, len(carried))
        pieces: list[tuple[int, Item]] = []
        due_ns = max(self.last_ns, now_ns + self._latency_ns())
        for place in range(0, len(carried), size):
            piece = carried[place : place + size]
            if shape.bytes_per_s:
                due_ns += len(piece) * 1_000_000_000 // shape.bytes_per_s
            pieces.append((due_ns, Raw(piece)))
        self.last_ns = due_ns
        if len(carried) < len(data):
            pieces.append((due_ns, Reset()))
        return pieces

    def _latency_ns(self) -> int:
        shape = self._shape
        return max(0, shape.latency_ns + self._random.randint(-shape.jitter_ns, shape.jitter_ns))


class Messages:
    """From bytes back to messages: what a client without a socket reads."""

    def __init__(self) -> None:
        self._rest = b""
        self._parts: list[bytes] = []

    def feed(self, data: bytes) -> list[Message]:
        """Return the messages that are whole after these bytes."""
        data, place = self._rest + data, 0
        found: list[Message] = []
        while (frame := _read_frame(data, place)) is not None:
            head, payload, place = frame
            kind = head & ~LAST
            if kind == PING:
                found.append(Ping())
            elif kind == BINARY:
                found.append(Binary(payload))
            elif head == LAST | TEXT:
                found.append(payload)
            else:
                self._parts.append(payload)
                if head & LAST:
                    found.append(b"".join(self._parts))
                    self._parts.clear()
        self._rest = data[place:]
        return found


def _read_frame(data: bytes, place: int) -> tuple[int, bytes, int] | None:
    """Return head byte, payload and end of the frame at a place, None where it is not whole."""
    if len(data) < place + 2:
        return None
    size, begin = data[place + 1], place + 2
    if size > 125:
        begin += 2 if size == 126 else 8
        if len(data) < begin:
            return None
        size = int.from_bytes(data[place + 2 : begin], "big")
    return (data[place], data[begin : begin + size], begin + size) if len(data) >= begin + size else None
