"""What a fault makes of a frame, a connection, a handshake, a REST answer or the market."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Peer:
    """A connection as faults see it. `gateway` is what its URL has before /v5, without slashes."""

    number: int
    category: str
    gateway: str = ""
    opened_ns: int = 0
    address: str = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Fragments:
    """A text message in several websocket frames."""

    payload: bytes
    parts: int


@dataclass(frozen=True, slots=True)
class Binary:
    """A message of the binary kind."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class Ping:
    """A ping frame of the websocket protocol."""


@dataclass(frozen=True, slots=True)
class Raw:
    """Bytes on the wire as they are."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Close:
    """A close frame; the connection ends after it unless it `stays` open."""

    code: int
    stays: bool = False


@dataclass(frozen=True, slots=True)
class Cut:
    """The stream ends without a close frame (the client sees 1006)."""


@dataclass(frozen=True, slots=True)
class Reset:
    """The connection is reset."""


@dataclass(frozen=True, slots=True)
class Mute:
    """Nothing goes out any more and nothing is heard, but the connection stays open."""


@dataclass(frozen=True, slots=True)
class Shape:
    """How bytes travel from now on; 0 is no limit. At `limit_bytes` the connection is reset."""

    latency_ns: int = 0
    jitter_ns: int = 0
    bytes_per_s: int = 0
    slice_bytes: int = 0
    limit_bytes: int = 0
    blocked_ns: int = 0


Message = bytes | Fragments | Binary | Ping
"""What a client receives; bytes are a whole text message."""

Ending = Close | Cut | Reset
"""How a connection ends."""

Item = Message | Raw | Ending | Mute | Shape
"""One thing to do on a connection."""

Timed = tuple[int, Item]
"""(delay in ns, item)."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a request.

    `lost`: neither performed nor answered; `refused`: not performed, answered with this ret_msg;
    `pretended`: answered as if performed.
    """

    lost: bool = False
    refused: str = ""
    pretended: bool = False


@dataclass(frozen=True, slots=True)
class Refusal:
    """The answer to a handshake that is not let in. Status 0: none at all, the connection just hangs."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RestFault:
    """What becomes of a REST answer: `status` 0 keeps it, `rewrite` changes the result, then the body."""

    delay_ns: int = 0
    status: int = 0
    code: int = 0
    message: str = ""
    rewrite: Callable[[dict[str, Any]], dict[str, Any]] | None = None
    garble: Callable[[bytes], bytes] | None = None
    cut: bool = False


@dataclass(frozen=True, slots=True)
class Change:
    """Something that happens to the market of a symbol, for all connections alike."""

    name: str
    category: str
    symbol: str
    values: dict[str, Any]
