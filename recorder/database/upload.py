"""A block on its way to a server, in small pieces: the time limit is of a piece, not of the whole block."""

import io
from typing import Any, Final

__all__ = ["PIECE_BYTES", "Upload"]

# One piece must go out within the time limit of a connection: here a line of 1 KB/s is enough.
PIECE_BYTES: Final = 8 << 10


class Upload(io.RawIOBase):
    """Reads a buffer without copying it as a whole; may be rewound.

    Args:
        buffer: what is to be sent; held until `close`.
    """

    def __init__(self, buffer: Any) -> None:
        self._view = memoryview(buffer)
        self._at = 0

    def __len__(self) -> int:
        return len(self._view)

    def readable(self) -> bool:
        """True."""
        return True

    def seekable(self) -> bool:
        """True."""
        return True

    def read(self, size: int = -1) -> bytes:
        """The next piece, of `PIECE_BYTES` at most."""
        size = PIECE_BYTES if size < 0 else min(size, PIECE_BYTES)
        piece = bytes(self._view[self._at : self._at + size])
        self._at += len(piece)
        return piece

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to an offset, or relative to where it is or to the end."""
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: len(self._view)}[whence]
        self._at = max(0, min(start + offset, len(self._view)))
        return self._at

    def tell(self) -> int:
        """Where it is."""
        return self._at
