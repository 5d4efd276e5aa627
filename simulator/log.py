"""The frame log: one line a frame sent, `<send_ns> <connection> <frame>`: the ground truth of a test."""

from pathlib import Path
from typing import Any

import orjson

LOG_BUFFER_BYTES = 1 << 20


class FrameLog:
    """Buffered; `flush` and `close` put everything on disk. Overwrites the file."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb", buffering=LOG_BUFFER_BYTES)

    def append(self, send_ns: int, connection: int, frames: list[bytes]) -> None:
        """Add the frames of one write, in the order they were sent."""
        prefix = b"%d %d " % (send_ns, connection)
        self._file.write(prefix + (b"\n" + prefix).join(frames) + b"\n")

    def note(self, fired: dict[str, Any]) -> None:
        """Add a line `<at_ns> <connection> # <fault>` for a fault that happened; 0 is no connection."""
        self._file.write(b"%d %d # %b\n" % (fired["at_ns"], fired.get("connection", 0), orjson.dumps(fired)))

    def flush(self) -> None:
        """Hand all lines to the operating system."""
        self._file.flush()

    def close(self) -> None:
        """Flush and close; further frames are an error."""
        self._file.close()
