"""A spool of a few segments and a keeper with a clock of its own."""

from pathlib import Path
from random import Random
from typing import Any

from engine.clock import ManualClock
from ext.journal import Record
from ext.segment import Damage
from recorder.config import SpoolOptions
from recorder.spool.keeper import Keeper
from recorder.spool.reader import SpoolReader
from recorder.spool.seals import Gone
from recorder.spool.writer import Spool
from tests.support.spools import START_NS, Ticks, append_frame

SEGMENT_BYTES = 64 << 10


def describe() -> dict[str, Any]:
    """Return what each segment of such a spool restates."""
    return {"connections": [], "topics": {"linear": ["orderbook.50.BTCUSDT"]}}


def make_spool(folder: Path, frames: int = 450, seed: int = 1) -> dict[int, bytes]:
    """Record frames that compress a little, over several segments; return them by position."""
    random = Random(seed)
    written = {}
    with Spool(folder, "here", now=Ticks(), describe=describe, segment_bytes=SEGMENT_BYTES) as spool:
        for index in range(frames):
            payload = random.randbytes(400) + b"%d" % index * 100
            written[append_frame(spool.journal, payload, START_NS + index)] = payload
    return written


def keeper(
    folder: Path, *, quota_bytes: int = 0, clock: ManualClock | None = None, **options: object
) -> Keeper:
    clock = clock or ManualClock(START_NS)
    return Keeper(
        folder,
        SpoolOptions.model_validate(options),
        quota_bytes=quota_bytes,
        room_bytes=SEGMENT_BYTES,
        clock=clock,
    )


def settle(one: Keeper) -> int:
    """Let a keeper do all there is to do; return how many steps that took."""
    steps = 0
    while one.step():
        steps += 1
        assert steps < 1000, "a keeper does not come to an end"
    return steps


def read_items(folder: Path, position: int = 0) -> list[Record | Damage | Gone]:
    items = []
    with SpoolReader(folder, position) as reader:
        while (item := reader.poll()) is not None:
            items.append(item)
    return items


def read_frames(folder: Path) -> dict[int, bytes]:
    """Read the frames of a spool by position; whatever is no record fails the test."""
    found = {}
    for item in read_items(folder):
        assert isinstance(item, Record), item
        if item.kind == 2:
            found[item.position] = item.payload
    return found


def mark_loaded(folder: Path, number: int) -> None:
    """Say as the loader does that everything up to a segment is committed."""
    (folder / f"{number:08}.state").write_bytes(b"state")
