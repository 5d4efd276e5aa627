"""`kill -9` of capture under load: what a listener saw is in the spool, the rest is in the ledger."""

import asyncio
import os
import signal
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from recorder.config import RecordConfig, checked
from recorder.database.clickhouse import open_embedded
from recorder.recording.supervisor import Supervisor
from recorder.verify import verify
from tests.support.recordings import ROOT, Simulation, simulation
from tests.support.seen import Seen, lost_frames, seen_through, sent_frames, spool_frames, uncovered
from tests.support.witness import VARIABLE

SYMBOLS = ("BTCUSDT", "ETHUSDT")
RATE = 5_000
MESSAGES = 40_000
KILLS_AFTER = (8_000, 10_000)  # messages seen, from the start and then from the kill before


@pytest.fixture
def seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Seen]:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "pipe"))
    with seen_through(tmp_path / "pipe") as told:
        yield told


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
    lost = lost_frames(sent_frames(log), recorded)
    assert lost, "nothing was lost: the test kills nothing"
    assert uncovered(lost, recorded, gaps) == []
    assert all(len(gaps[topic]) == len(KILLS_AFTER) for topic in {frame.topic for frame in recorded})
