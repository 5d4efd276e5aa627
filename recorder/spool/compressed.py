"""Segments in zstd frames of 1 MiB: each is read without the others, so that damage stays in its frame."""

from collections.abc import Iterable, Iterator
from typing import Final

import zstandard

__all__ = ["FRAME_BYTES", "LEVEL", "compressed", "frames", "plain"]

FRAME_BYTES: Final = 1 << 20  # of records in each frame but the last
LEVEL: Final = 3

MAGIC: Final = zstandard.FRAME_HEADER
HEADER_BYTES_MAX: Final = 18
BLOCK_HEADER_BYTES: Final = 3
CHECKSUM_BYTES: Final = 4
RLE, RESERVED = 1, 3  # types of blocks
FILL: Final = b"\xff"  # in place of a damaged frame: neither a record nor an end


def compressed(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield a zstd frame, with content size and checksum, for each chunk of up to `FRAME_BYTES`."""
    compressor = zstandard.ZstdCompressor(level=LEVEL, write_checksum=True, write_content_size=True)
    for chunk in chunks:
        yield compressor.compress(chunk)


def plain(data: bytes) -> bytes:
    """Return what was compressed; where a frame is damaged, bytes that are no record."""
    return b"".join(content if content is not None else FILL * FRAME_BYTES for content in frames(data))


def frames(data: bytes) -> Iterator[bytes | None]:
    """Yield what each frame holds; None for a stretch of damaged ones."""
    decompressor = zstandard.ZstdDecompressor()
    view = memoryview(data)
    at = 0
    is_damaged = False
    while at < len(data):
        found = _frame(decompressor, view, at)
        if found is not None:
            content, at = found
            yield content
        elif not is_damaged:
            yield None
        is_damaged = found is None
        if is_damaged:
            at = data.find(MAGIC, at + 1)
            if at < 0:
                return


def _frame(decompressor: zstandard.ZstdDecompressor, view: memoryview, at: int) -> tuple[bytes, int] | None:
    """Return the content of the frame at an offset and the offset after it; None if there is no whole one."""
    try:
        end = _end(view, at)
        return decompressor.decompress(view[at:end]), end
    except zstandard.ZstdError:
        return None


def _end(view: memoryview, at: int) -> int:
    """Return where a frame ends. Raises ZstdError for one that we do not write: it may claim any size."""
    header = view[at : at + HEADER_BYTES_MAX]
    parameters = zstandard.get_frame_parameters(header)
    if not 0 < parameters.content_size <= FRAME_BYTES or not parameters.has_checksum:
        raise zstandard.ZstdError(f"a frame of {parameters.content_size} bytes is none of a segment's")
    at += zstandard.frame_header_size(header)
    is_last = False
    while not is_last:
        block = int.from_bytes(view[at : at + BLOCK_HEADER_BYTES], "little")
        is_last, kind, size = bool(block & 1), block >> 1 & 3, block >> 3
        if kind == RESERVED or at + BLOCK_HEADER_BYTES > len(view):
            raise zstandard.ZstdError("a block is damaged")
        at += BLOCK_HEADER_BYTES + (1 if kind == RLE else size)
    if at + CHECKSUM_BYTES > len(view):
        raise zstandard.ZstdError("the end is missing")
    return at + CHECKSUM_BYTES
