"""`kill -9` of capture under load: what a listener saw is in the spool, the rest is in the ledger."""

import asyncio
import os
import signal
import sys
import threading
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import orjson
import pytest

from ext.journal import Record, RecordKind
from recorder.clickhouse import open_embedded
from recorder.config import RecordConfig, checked
from recorder.spool_reader import SpoolReader
from recorder.supervisor import Supervisor
from recorder.verify import verify
from tests.support.recordings import ROOT, Simulation, simulation
from tests.support.witness import VARIABLE

SYMBOLS = ("BTCUSDT", "ETHUSDT")
RATE = 5_000
MESSAGES = 40_000
KILLS_AFTER = (8_000, 10_000)  # messages seen, from the start and then from the kill before
SEND_STAMP_NS = 5_000_000  # the simulator stamps a frame after it wrote it

Key = tuple[str, str]


@dataclass(slots=True)
class Seen:
    """What the witness told through the pipe."""

    keys: list[Key]
    lock: threading.Condition

    def take(self, line: bytes) -> None:
        topic, _, name = line.decode().rstrip("\n").partition(" ")
        with self.lock:
            self.keys.append((topic, name))
            self.lock.notify_all()

    def wait_for(self, count: int) -> None:
        with self.lock:
            assert self.lock.wait_for(lambda: len(self.keys) >= count, timeout=60), (
                f"{len(self.keys)} of {count}"
            )


@pytest.fixture
def seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Seen]:
    """A named pipe that this test reads as long as it runs, whoever writes to it."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    keep_open = os.open(path, os.O_RDWR)
    told = Seen([], threading.Condition())

    def read() -> None:
        with path.open("rb") as pipe:
            for line in pipe:
                told.take(line)

    reader = threading.Thread(target=read)
    reader.start()
    monkeypatch.setenv(VARIABLE, str(path))
    yield told
    os.close(keep_open)
    reader.join(60)
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


def topic_of(payload: bytes) -> str:
    return str(orjson.loads(payload).get("topic", ""))


def sent_frames(log: Path) -> list[Frame]:
    frames = []
    for line in log.read_bytes().splitlines():
        sent_ns, _, payload = line.split(b" ", 2)
        if topic := topic_of(payload):
            frames.append(Frame(topic, payload, int(sent_ns)))
    return frames


def spool_frames(folder: Path) -> list[Frame]:
    frames = []
    with SpoolReader(folder) as reader:
        while (item := reader.poll()) is not None:
            assert isinstance(item, Record), item
            if item.kind == RecordKind.FRAME and (topic := topic_of(item.payload)):
                frames.append(Frame(topic, item.payload, item.recv_ns))
    return frames


async def record_and_kill(config: RecordConfig, venue: Simulation, seen: Seen) -> None:
    """Record, killing capture now and then, until the last message of the simulator was seen."""
    command = (sys.executable, "-m", "tests.support.witness")
    supervisor = Supervisor(config, capture_command=command)
    stop = asyncio.Event()
    recording = asyncio.create_task(supervisor.run(stop))
    count = 0
    for more in KILLS_AFTER:
        count += more
        await asyncio.to_thread(seen.wait_for, count)
        os.kill(supervisor.capture.pid, signal.SIGKILL)
        count = len(seen.keys)
    await asyncio.to_thread(venue.wait_done)
    last = {
        (stream["topic"], str(stream["u"]))
        for stream in venue.get("/simulator/state")["topics"]
        if stream["topic"].startswith("orderbook.")
    }
    async with asyncio.timeout(60):
        while not last <= set(seen.keys):
            await asyncio.wait([recording], timeout=0.1)
            assert not recording.done()
    stop.set()
    assert await recording
    assert supervisor.capture.restarts == len(KILLS_AFTER)


def test_what_was_seen_is_recorded_and_the_rest_is_in_the_ledger(
    seen: Seen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    log = tmp_path / "sent.log"
    listed = ",".join(f"linear:{symbol}" for symbol in SYMBOLS)
    with simulation(
        "--symbols", listed, "--rate", str(RATE), "--messages", str(MESSAGES), "--log", str(log)
    ) as venue:
        config = checked(
            data=tmp_path / "data",
            url=venue.ws,
            rest_url=venue.rest,
            market=[{"symbols": SYMBOLS, "book": [50, 200], "trades": True}],
        )
        asyncio.run(record_and_kill(config, venue, seen))
    recorded = spool_frames(config.data / "spool")

    in_spool = {key for frame in recorded for key in frame.told()}
    assert len(seen.keys) > sum(KILLS_AFTER)
    assert set(seen.keys) <= in_spool

    with open_embedded(config.data / "clickhouse") as database:
        assert verify(config.data / "spool", database, config.recorder).problems == []
        rows = database.query(
            "SELECT topic, cause, toUnixTimestamp64Nano(start), toUnixTimestamp64Nano(end) FROM gaps"
        )
    gaps: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for topic, cause, start_ns, end_ns in rows:
        assert cause == "not_running"
        gaps[topic].append((start_ns, end_ns))
    assert uncovered(sent_frames(log), recorded, gaps) == []
    assert all(len(gaps[topic]) == len(KILLS_AFTER) for topic in {frame.topic for frame in recorded})


def uncovered(
    sent: list[Frame], recorded: list[Frame], gaps: dict[str, list[tuple[int, int]]]
) -> list[Frame]:
    """Frames that were sent, are not recorded, and lie in no gap of their topic.

    Sent and received times are of one clock, but a frame is received later than sent, by as much as capture
    was behind: so a gap is asked to begin before the next recorded frame was received.
    """
    there = {frame.payload for frame in recorded}
    received: dict[str, list[int]] = defaultdict(list)
    for frame in recorded:
        received[frame.topic].append(frame.at_ns)
    lost = [frame for frame in sent if frame.payload not in there]
    assert lost, "nothing was lost: the test kills nothing"
    found = []
    for frame in lost:
        times = received[frame.topic]
        after = bisect_right(times, frame.at_ns)
        next_ns = times[after] if after < len(times) else sys.maxsize
        if not any(
            start <= next_ns and frame.at_ns <= end + SEND_STAMP_NS for start, end in gaps[frame.topic]
        ):
            found.append(frame)
    return found
