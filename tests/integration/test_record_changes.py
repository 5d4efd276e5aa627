"""A recording changed while it runs, and taken over by another one: nothing else is touched, nothing lost."""

import asyncio
import json
import os
import signal
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import orjson
import pytest

from engine.errors import UsageError
from recorder import shards
from recorder.config import checked
from recorder.coverage import coverage
from recorder.folder import DataFolder
from recorder.queries.server import open_for_reading
from recorder.recording import control
from recorder.recording.supervisor import TAKEOVER_LOCK, Supervisor
from recorder.spool.lock import FolderInUseError, FolderLock
from recorder.verify import verify
from tests.support.recordings import Recording, Simulation, recording, simulation, tapehead, until

SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT")
FULL_BOOK = {"category": "spot", "symbols": ["BTCUSDT"], "book": ["full"], "trades": False}


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "sent.log"


@pytest.fixture
def venue(log: Path) -> Iterator[Simulation]:
    listed = ",".join([*(f"linear:{symbol}" for symbol in SYMBOLS), "spot:BTCUSDT"])
    with simulation("--symbols", listed, "--rate", "400", "--log", str(log)) as running:
        yield running


def topics(running: Recording) -> dict[str, Any]:
    told: dict[str, Any] = running.folder.read_status("capture").get("topics", {}).get("linear", {})
    return told


def is_live(running: Recording, category: str, topic: str) -> bool:
    told = running.folder.read_status("capture").get("topics", {}).get(category, {})
    return bool(told.get(topic, {}).get("state", "") == "confirmed")


def with_data(running: Recording, symbol: str) -> bool:
    return any(
        one["last_recv_ns"] > 0 for topic, one in topics(running).items() if topic.endswith(f".50.{symbol}")
    )


def changed(verb: str, running: Recording, *options: str) -> Any:
    done = tapehead(verb, *options, "--data", str(running.folder.path), "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def refused(running: Recording, expected: str, **asked: Any) -> None:
    with pytest.raises(UsageError, match=expected):
        control.ask(running.folder, asked)


def gaps(data: Path) -> list[tuple[str, str]]:
    """Topic and cause of each gap."""
    with open_for_reading(data) as database:
        return [(row[0], row[1]) for row in database.query("SELECT topic, cause FROM gaps")]


def problems(data: Path) -> list[str]:
    """What is wrong with the tables, of every shard."""
    folder = DataFolder(data)
    with open_for_reading(data) as database:
        return [
            problem
            for shard in shards.existing(folder)
            for problem in verify(folder.spool_of(shard), database, folder.recorder(shard)).problems
        ]


def trades_sent(log: Path, symbol: str) -> list[str]:
    """The trades that the simulator sent, in order."""
    mark = f'"publicTrade.{symbol}"'.encode()
    return [
        trade["i"]
        for line in log.read_bytes().splitlines()
        if mark in line
        for trade in orjson.loads(line.split(b" ", 2)[2]).get("data", ())
    ]


def test_add_and_remove_touch_nothing_else(venue: Simulation, tmp_path: Path) -> None:
    with recording(venue, tmp_path / "data", SYMBOLS[0], "--shards", "2") as running:
        until(lambda: running.frames() > 0 or bool(running.folder.read_status("capture-1")), "a start")
        until(lambda: bool(running.folder.read_status("capture-1")), "the second capture process")
        answer = changed("add", running, *SYMBOLS[1:], "--tickers")
        assert {topic.rpartition(".")[2] for topic in answer["added"]} == set(SYMBOLS[1:])
        assert any(topic.startswith("tickers.") for topic in answer["added"])
        assert answer["late"] == {}
        refused(running, "use SOLUSDT", do="add", market={"symbols": ["SOLUSD"]})
        refused(running, "XRPUSDT of linear is not recorded", do="remove", symbols=["XRPUSDT"])
        refused(running, "depth was 7", do="add", market={"symbols": ["BTCUSDT"], "book": [7]})

        # What was added is not forgotten by a capture process that is started again.
        def carries(name: str) -> bool:
            status = running.folder.read_status(name)
            return "orderbook.50.SOLUSDT" in status.get("topics", {}).get("linear", ())

        until(lambda: carries("capture") or carries("capture-1"), "what was added in a status")
        name = "capture" if carries("capture") else "capture-1"
        pid = running.folder.read_status(name)["pid"]
        os.kill(pid, signal.SIGKILL)
        until(
            lambda: (
                (status := running.folder.read_status(name))["pid"] != pid
                and status["topics"]["linear"].get("orderbook.50.SOLUSDT", {}).get("last_recv_ns", 0) > 0
            ),
            "data of what was added",
        )
        answer = changed("remove", running, SYMBOLS[1])
        assert {topic.rpartition(".")[2] for topic in answer["removed"]} == {SYMBOLS[1]}
        running.stop()
    data = tmp_path / "data"
    assert {cause for _, cause in gaps(data)} == {"not_running"}  # of the process that was killed, alone
    assert problems(data) == []
    assert shards.existing(running.folder) == [0, 1]
    for spool in (running.folder.spool, running.folder.spool_of(1)):
        assert coverage(spool).is_complete


def test_a_takeover_loses_nothing(venue: Simulation, log: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    streams = ("--tickers", "--kline", "1", "--book", "50", "--book", "200")
    with recording(venue, data, *SYMBOLS[:2], *streams) as old:
        until(lambda: old.frames() > 200, "the first frames")
        control.ask(old.folder, {"do": "add", "market": {"symbols": [SYMBOLS[2]]}})
        control.ask(old.folder, {"do": "add", "market": FULL_BOOK})
        until(lambda: with_data(old, SYMBOLS[2]), "data of what was added")
        until(lambda: is_live(old, "spot", "orderbook.full.BTCUSDT"), "the full book")
        first = old.folder.read_status("capture")["pid"]
        with recording(venue, data, "--takeover") as new:
            out, _ = old.process.communicate(timeout=60)
            answer = json.loads(out.splitlines()[-1])
            assert (old.process.returncode, answer["taken_over"]) == (0, True)
            until(lambda: new.folder.read_status("capture")["pid"] != first, "the new capture process")
            assert with_data(new, SYMBOLS[2])
            until(lambda: new.frames() > 200, "frames of the new recording")
            with recording(venue, data, "--takeover") as third:
                new.process.communicate(timeout=60)
                assert new.process.returncode == 0
                until(lambda: third.folder.read_status("capture")["position"] >> 32 >= 3, "the third segment")
                until(lambda: third.frames() > 200, "frames of the third recording")
                third.stop()
    assert gaps(data) == []
    assert coverage(data / "spool").is_complete
    assert problems(data) == []
    with open_for_reading(data) as database:
        loaded = {row[0] for row in database.query("SELECT trade_id FROM trades")}
        assert database.query("SELECT count() - uniqExact(trade_id) FROM trades") == [(0,)]
        assert database.query("SELECT count() > 0 FROM book_delta WHERE kind = 'full'") == [(True,)]
        held = database.query(
            "SELECT symbol, depth, groupArray(update_id)"
            " FROM (SELECT symbol, depth, update_id FROM book_delta WHERE depth > 1 ORDER BY position)"
            " GROUP BY symbol, depth"
        )
    assert held
    for symbol, depth, numbers in held:
        assert [b for a, b in pairwise(numbers) if b != a + 1] == [], (symbol, depth)
    for symbol in SYMBOLS:
        sent = trades_sent(log, symbol)
        within = [number for number, trade in enumerate(sent) if trade in loaded]
        assert set(sent[within[0] : within[-1] + 1]) - loaded == set(), symbol


def test_a_takeover_that_fails(venue: Simulation, tmp_path: Path) -> None:
    """Before the old recording has yielded it goes on alone; when it is gone the new one goes on."""
    data = tmp_path / "data"
    with recording(venue, data, SYMBOLS[0]) as old:
        until(lambda: with_data(old, SYMBOLS[0]), "the first data")
        with pytest.raises(UsageError, match="shards was 2, the recording that runs has 1"):
            control.ask(old.folder, {"do": "takeover", "shards": 2})
        second = Supervisor(checked(data=data, symbols=[SYMBOLS[0]]), takes_over=True)
        with FolderLock(data, TAKEOVER_LOCK), pytest.raises(FolderInUseError):
            asyncio.run(second.run(asyncio.Event()))
        with recording(venue, data, "--takeover") as new:
            until(lambda: is_taking_over(data), "a takeover")
            assert new.stop()["taken_over"] is False
        seen = old.frames()
        until(lambda: old.frames() > seen, "more frames")
        first = old.folder.read_status("capture")["pid"]
        with recording(venue, data, "--takeover") as new:
            until(lambda: is_taking_over(data), "another takeover")
            old.process.kill()
            until(lambda: new.folder.read_status("capture")["pid"] != first, "the new capture process")
            until(lambda: with_data(new, SYMBOLS[0]), "its data")
            new.stop()
    causes = [cause for _, cause in gaps(data)]
    assert causes == ["not_running"] * len(topics(new))
    assert problems(data) == []
    assert coverage(data / "spool").is_complete


def is_taking_over(data: Path) -> bool:
    try:
        FolderLock(data, TAKEOVER_LOCK).release()
    except FolderInUseError:
        return True
    return False
