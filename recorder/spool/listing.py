"""What a spool holds, segment by segment and record by record, for people and scripts."""

import base64
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import orjson

from engine.clock import NS_PER_S
from engine.errors import UsageError
from ext.journal import Record, RecordKind
from ext.segment import Damage
from recorder.folder import DataFolder
from recorder.history.moments import POSITION_BITS, Moment, iso
from recorder.shards import existing
from recorder.spool import sealing
from recorder.spool.reader import Item, SpoolReader
from recorder.spool.recovery import owner
from recorder.spool.seals import Gone, Seal, read_gone, read_seal
from recorder.spool.segments import Segment, loaded_through, open_segment, segments

__all__ = ["entries", "items", "said", "spools"]

DISORDER_NS: Final = 600 * NS_PER_S  # a recorder that takes over writes older records after its first one


def spools(folder: Path) -> list[Path]:
    """Return the spools of a recording, or the folder itself if it is one. Raises UsageError for others."""
    if segments(folder):
        return [folder]
    place = DataFolder(folder).existing()
    return [place.spool_of(shard) for shard in existing(place)]


def entries(folder: Path) -> list[dict[str, Any]]:
    """Return what is known of each segment of a spool, those that are gone included, in order.

    ``state`` is ``expired``, ``dropped``, ``compressed``, ``sealed``, ``open`` (may still be written to or
    sealed) or ``prepared``. Raises SpoolError where it is no spool, or of another format.
    """
    recorder = owner(folder) or ""
    loaded = loaded_through(folder)
    rows = [
        {**asdict(one), "state": str(one.reason), "segment": one.first_segment} for one in read_gone(folder)
    ]
    for segment in segments(folder):
        if not segment.is_started:
            rows.append({"segment": segment.number, "state": "prepared", "file_bytes": segment.bytes})
            continue
        seal = read_seal(folder, segment.number)
        state = "open" if seal is None else "compressed" if segment.is_compressed else "sealed"
        known = asdict(seal or sealing.seal_of(segment, recorder))
        rows.append(
            {**known, "state": state, "file_bytes": segment.bytes, "is_loaded": segment.number <= loaded}
        )
    return rows


def items(
    folder: Path, start: Moment | None = None, end: Moment | None = None, *, segment: int = 0
) -> Iterator[Item]:
    """Yield the records of a spool, with damage and what is gone, from ``start`` (included) to ``end`` (not).

    ``segment``: of that one only. Raises UsageError, naming what there is, where nothing lies between.
    """
    started = [one for one in segments(folder) if one.is_started]
    if not started:
        raise UsageError(f"the spool {folder} holds nothing yet", "record into it first")
    if segment and segment not in {one.number for one in started}:
        held = f"{started[0].number} to {started[-1].number}"
        raise UsageError(
            f"--segment was {segment}; the spool {folder} holds segments {held}", "use one of them"
        )
    after = (segment << POSITION_BITS) if segment else _before(folder, started, start)
    found = False
    with SpoolReader(folder, after) as reader:
        while (item := reader.poll()) is not None:
            if segment and item.position >> POSITION_BITS > segment:
                break
            if isinstance(item, Record):
                if _is_beyond(item, end):
                    break
                if not _is_within(item, start, end):
                    continue
                found = True
            yield item
    if not found:
        raise UsageError(
            f"no record of the spool {folder} lies there; it holds {_held(folder, started)}",
            "choose a time within that",
        )


def said(item: Item) -> dict[str, Any]:
    """Return an item as plain values; what a record holds is JSON, text or base64, as it can be."""
    if isinstance(item, Damage):
        lost = {"position": item.position, "next_position": item.next_position}
        return {"damage": {**lost, "start": item.start, "end": item.end, "records": item.records}}
    if isinstance(item, Gone):
        return {"gone": asdict(item)}
    return {
        "position": item.position,
        "at": f"{item.position >> POSITION_BITS}:{item.position & (1 << POSITION_BITS) - 1}",
        "kind": RecordKind(item.kind).name,
        "recv_ns": item.recv_ns,
        "mono_ns": item.mono_ns,
        "connection": item.connection,
        **_payload(item.payload),
    }


def _payload(payload: bytes) -> dict[str, Any]:
    try:
        return {"payload": orjson.loads(payload) if payload else None}
    except orjson.JSONDecodeError:
        return {"payload_base64": base64.b64encode(payload).decode()}


def _before(folder: Path, started: list[Segment], start: Moment | None) -> int:
    """Return a position from which on everything since ``start`` is read."""
    if start is None:
        return 0
    if start.position:
        return start.position - 1
    number = 0
    for segment in started:
        if _first_recv_ns(folder, segment) > start.ns:
            break
        number = segment.number
    return number << POSITION_BITS


def _first_recv_ns(folder: Path, segment: Segment) -> int:
    seal = read_seal(folder, segment.number)
    if seal is not None:
        return seal.first_recv_ns
    reader = open_segment(segment, final=True)
    record = next((item for item in reader if isinstance(item, Record)), None)
    reader.close()
    return record.recv_ns if record is not None else 0


def _is_beyond(record: Record, end: Moment | None) -> bool:
    """Whether nothing before ``end`` follows: of times that is certain at a new segment only."""
    if end is None:
        return False
    if end.position:
        return record.position >= end.position
    return record.kind == RecordKind.SEGMENT and record.recv_ns >= end.ns + DISORDER_NS


def _is_within(record: Record, start: Moment | None, end: Moment | None) -> bool:
    return (start is None or start.position > 0 or record.recv_ns >= start.ns) and (
        end is None or end.position > 0 or record.recv_ns < end.ns
    )


def _held(folder: Path, started: list[Segment]) -> str:
    last: Seal = sealing.seal_of(started[-1], "")
    return f"{iso(_first_recv_ns(folder, started[0]))} to {iso(last.last_recv_ns)}"
