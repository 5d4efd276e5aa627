"""Whatever happens to a recording: each second of each topic is recorded or in the ledger."""

import os
import signal
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from recorder.coverage import coverage
from recorder.queries.server import open_for_reading
from tests.support.proxy import Cable, cable
from tests.support.recordings import Recording, Simulation, recording, simulation, until

SYMBOLS = ("BTCUSDT", "ETHUSDT")
STREAMS = ("--tickers", "--kline", "1")


@pytest.fixture(scope="module")
def venue() -> Iterator[Simulation]:
    listed = ",".join(f"linear:{symbol}" for symbol in SYMBOLS)
    with simulation("--symbols", listed, "--rate", "200") as running:
        yield running


@pytest.fixture
def through(venue: Simulation, tmp_path: Path) -> Iterator[tuple[Cable, Recording]]:
    """A recording that reaches the venue through a cable."""
    with (
        cable(venue.ws) as (one, url),
        recording(replace(venue, ws=url), tmp_path / "data", *SYMBOLS, *STREAMS) as running,
    ):
        until(lambda: running.frames() > 100, "the first frames")
        yield one, running


def capture_pid(running: Recording) -> int:
    return int(running.folder.read_status("capture")["pid"])


def wait_more(running: Recording, more: int = 100) -> None:
    """Wait until that many more frames were captured; a capture that was started again counts anew."""
    pid, seen = capture_pid(running), running.frames()
    until(lambda: capture_pid(running) != pid or running.frames() > seen + more, "more frames")


def killed(one: Cable, running: Recording) -> None:
    pid = capture_pid(running)
    os.kill(pid, signal.SIGKILL)
    until(lambda: capture_pid(running) != pid, "another capture process")


def stopped(one: Cable, running: Recording) -> None:
    pid = capture_pid(running)
    written = running.folder.read_status("capture")["updated_ns"]
    os.kill(pid, signal.SIGSTOP)
    try:
        with pytest.raises(AssertionError, match="never"):
            until(lambda: running.folder.read_status("capture")["updated_ns"] > written + 2e9, "never", 3.5)
    finally:
        os.kill(pid, signal.SIGCONT)


def cut(one: Cable, running: Recording) -> None:
    one.cut()
    until(lambda: running.folder.read_status("capture")["connections"] == 0, "the cut noticed")
    one.mend()


def reset(one: Cable, running: Recording) -> None:
    before = one.made
    one.reset()
    until(lambda: one.made > before, "another connection")


def test_no_second_is_uncovered(through: tuple[Cable, Recording]) -> None:
    one, running = through
    for fault in (cut, stopped, reset, killed):
        fault(one, running)
        wait_more(running)
    running.stop()
    found = coverage(running.folder.spool)
    assert {topic.rpartition(".")[2] for _, topic in found.wanted} == set(SYMBOLS)
    assert found.uncovered == {topic: [] for topic in found.wanted}
    assert all(found.recorded[topic] for topic in found.wanted)
    causes: dict[str, Counter[str]] = defaultdict(Counter)
    with open_for_reading(running.folder.path) as database:
        for topic, cause in database.query("SELECT topic, cause FROM gaps"):
            causes[topic][cause] += 1
    assert causes.keys() == {topic for _, topic in found.wanted}
    for of_topic in causes.values():
        assert of_topic["disconnect"] >= 2
        assert of_topic["not_running"] == 2
