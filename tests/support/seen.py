"""What a witness process told, what a simulator sent, what a spool holds: frame by frame, to be compared."""

import os
import sys
import threading
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from ext.journal import Record, RecordKind
from recorder.spool.reader import SpoolReader

SEND_STAMP_NS = 5_000_000  # the simulator stamps a frame after it wrote it
TIMEOUT_S = 60.0

Key = tuple[str, str]
Gaps = Mapping[str, Sequence[tuple[int, int]]]


@dataclass(slots=True)
class Seen:
    """What the witness told through the pipe: a topic and an update or trade id for each message."""

    keys: list[Key] = field(default_factory=list)
    lock: threading.Condition = field(default_factory=threading.Condition)

    def take(self, line: bytes) -> None:
        topic, _, name = line.decode().rstrip("\n").partition(" ")
        with self.lock:
            self.keys.append((topic, name))
            self.lock.notify_all()

    def wait_for(self, count: int) -> None:
        with self.lock:
            assert self.lock.wait_for(lambda: len(self.keys) >= count, timeout=TIMEOUT_S), (
                f"{len(self.keys)} of {count}"
            )


@contextmanager
def seen_through(path: Path) -> Iterator[Seen]:
    """A named pipe that is read as long as this lasts, whoever writes to it."""
    os.mkfifo(path)
    keep_open = os.open(path, os.O_RDWR)
    told = Seen()

    def read() -> None:
        with path.open("rb") as pipe:
            for line in pipe:
                told.take(line)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        yield told
    finally:
        os.close(keep_open)
        reader.join(TIMEOUT_S)
    assert not reader.is_alive()


@dataclass(frozen=True)
class Frame:
    """A data frame of the simulator's log, or of the spool (``at_ns``: when it was sent, or received)."""

    topic: str
    payload: bytes
    at_ns: int

    def told(self) -> list[Key]:
        """What the witness would say of it."""
        data = orjson.loads(self.payload)["data"]
        if self.topic.startswith("orderbook."):
            return [(self.topic, str(data["u"]))]
        return [(self.topic, item["i"]) for item in data]


def _topic_of(payload: bytes) -> str:
    return str(orjson.loads(payload).get("topic", ""))


def sent_frames(log: Path) -> list[Frame]:
    """What a simulator logged of what it sent; it may still be writing."""
    frames = []
    for line in log.read_bytes().splitlines(keepends=True):
        sent_ns, _, payload = line.rstrip(b"\n").split(b" ", 2) if line.endswith(b"\n") else (b"", b"", b"{}")
        if topic := _topic_of(payload):
            frames.append(Frame(topic, payload, int(sent_ns)))
    return frames


def spool_frames(folder: Path) -> list[Frame]:
    frames = []
    with SpoolReader(folder) as reader:
        while (item := reader.poll()) is not None:
            assert isinstance(item, Record), item
            if item.kind == RecordKind.FRAME and (topic := _topic_of(item.payload)):
                frames.append(Frame(topic, item.payload, item.recv_ns))
    return frames


def lost_frames(sent: list[Frame], recorded: list[Frame]) -> list[Frame]:
    """Frames that were sent before the last one recorded of their topic, and are not recorded."""
    there = {frame.payload for frame in recorded}
    ends = {frame.topic: frame.at_ns for frame in recorded}
    return [
        frame
        for frame in sent
        if frame.payload not in there and frame.at_ns < ends.get(frame.topic, sys.maxsize)
    ]


def uncovered(lost: list[Frame], recorded: list[Frame], gaps: Gaps) -> list[Frame]:
    """Lost frames that lie in no gap of their topic.

    Sent and received times are of one clock, but a frame is received later than sent, by as much as capture
    was behind: so a gap is asked to begin before the next recorded frame was received.
    """
    received: dict[str, list[int]] = defaultdict(list)
    for frame in recorded:
        received[frame.topic].append(frame.at_ns)
    found = []
    for frame in lost:
        times = received[frame.topic]
        after = bisect_right(times, frame.at_ns)
        next_ns = times[after] if after < len(times) else sys.maxsize
        if not any(
            start <= next_ns and frame.at_ns <= end + SEND_STAMP_NS
            for start, end in gaps.get(frame.topic, ())
        ):
            found.append(frame)
    return found
