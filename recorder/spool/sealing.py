"""Reading a final segment for its seal, and putting it into zstd frames that are known to be good."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import orjson

from ext.journal import Record, RecordKind
from ext.segment import Damage, SegmentReader
from recorder.spool.compressed import FRAME_BYTES, compressed, frames
from recorder.spool.durable import sync_folder, write_new
from recorder.spool.seals import Seal
from recorder.spool.segments import Segment, compressed_path, first_payload, open_segment

__all__ = ["compress", "desired", "is_whole", "seal_of"]

ALIGN: Final = 8  # of records


def seal_of(segment: Segment, recorder: str) -> Seal:
    """Return the seal of a final segment; ``recorder`` where its beginning is damaged. Raises OSError."""
    reader = open_segment(segment, final=True)
    records = record_frames = first_position = first_recv_ns = last_recv_ns = previous = 0
    damage = []
    for item in reader:
        if isinstance(item, Damage):
            damage.append((item.start, item.end, item.records))
            continue
        if item.kind == RecordKind.SEGMENT:
            said = first_payload(item)
            recorder, previous = said["recorder"], said["previous"]
        records += 1
        record_frames += item.kind == RecordKind.FRAME
        first_position = first_position or item.position
        first_recv_ns = first_recv_ns or item.recv_ns
        last_recv_ns = max(last_recv_ns, item.recv_ns)
    digest, used = _digest(segment, reader)
    if used > reader.offset and not segment.is_compressed:
        damage.append((reader.offset, used, -1))  # up to the end: the next segment says how many
    reader.close()
    return Seal(
        recorder=recorder,
        segment=segment.number,
        bytes=used,
        sha256=digest,
        previous=previous,
        first_position=first_position or reader.position,
        last_position=reader.position,
        records=records,
        frames=record_frames,
        first_recv_ns=first_recv_ns,
        last_recv_ns=last_recv_ns,
        damage=tuple(damage),
        compressed_bytes=segment.bytes if segment.is_compressed else 0,
    )


def compress(segment: Segment, seal: Seal) -> bool:
    """Put a segment into zstd frames beside it; False, and nothing done, where it is not what was sealed."""
    digest = hashlib.sha256()
    path = compressed_path(segment.path.parent, segment.number)
    fresh = write_new(path, compressed(_hashed(_chunks(segment.path, seal.bytes), digest)))
    if digest.hexdigest() != seal.sha256:
        fresh.unlink()
        return False
    fresh.replace(path)
    sync_folder(path.parent)
    return True


def is_whole(segment: Segment, seal: Seal) -> bool:
    """Whether a segment file, compressed or not, holds what was sealed."""
    digest = hashlib.sha256()
    if not segment.is_compressed:
        for _ in _hashed(_chunks(segment.path, seal.bytes), digest):
            pass
        return digest.hexdigest() == seal.sha256
    for content in frames(segment.path.read_bytes()):
        if content is None:
            return False
        digest.update(content)
    return digest.hexdigest() == seal.sha256


def desired(segment: Segment) -> dict[str, list[str]]:
    """Return the topics that are desired anywhere in a segment, by category."""
    topics: dict[str, set[str]] = {}
    reader = open_segment(segment, final=True)
    for item in reader:
        if isinstance(item, Record):
            for category, names in _desires(item):
                topics.setdefault(category, set()).update(names)
    reader.close()
    return {category: sorted(names) for category, names in sorted(topics.items()) if names}


def _desires(record: Record) -> Iterator[tuple[str, list[str]]]:
    if record.kind == RecordKind.REQUESTED:
        said: dict[str, Any] = orjson.loads(record.payload)
        if said["op"] == "desire":
            yield said["category"], said["topics"]
    elif record.kind == RecordKind.SEGMENT:
        said = first_payload(record)
        yield from said["topics"].items()
        for connection in (*said["connections"], *said.get("waiting", ())):
            yield connection["category"], connection.get("topics", [])


def _digest(segment: Segment, reader: SegmentReader) -> tuple[str, int]:
    """Return the hash of what a segment holds and how many bytes that is: without its zero tail."""
    if segment.is_compressed:
        contents = [content for content in frames(segment.path.read_bytes()) if content is not None]
        return hashlib.sha256(b"".join(contents)).hexdigest(), sum(map(len, contents))
    used = reader.offset
    at = 0
    for chunk in _chunks(segment.path, segment.bytes):
        if written := len(chunk.rstrip(b"\0")):
            used = max(used, (at + written + ALIGN - 1) // ALIGN * ALIGN)
        at += len(chunk)
    used = min(used, at)
    digest = hashlib.sha256()
    for chunk in _chunks(segment.path, used):
        digest.update(chunk)
    return digest.hexdigest(), used


def _chunks(path: Path, size: int) -> Iterator[bytes]:
    with path.open("rb") as file:
        while size > 0 and (chunk := file.read(min(FRAME_BYTES, size))):
            size -= len(chunk)
            yield chunk


def _hashed(chunks: Iterator[bytes], digest: "hashlib._Hash") -> Iterator[bytes]:
    for chunk in chunks:
        digest.update(chunk)
        yield chunk
