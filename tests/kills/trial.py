"""One trial: a recording whose processes are killed again and again, and what is there in the end."""

import asyncio
import json
import os
import random
import signal
import sys
from collections import Counter, defaultdict
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from recorder.config import RecordConfig, checked
from recorder.coverage import coverage
from recorder.database.clickhouse import Database, open_embedded
from recorder.folder import DataFolder
from recorder.recording.child import OWN_COMMAND, Child
from recorder.recording.processes import Handover
from recorder.verify import verify
from tests.support.recordings import Simulation, simulation
from tests.support.seen import Seen, lost_frames, seen_through, sent_frames, spool_frames, uncovered
from tests.support.witness import VARIABLE

SYMBOLS = ("BTCUSDT", "ETHUSDT")
RATE = 1_500  # book messages a second
MESSAGES_BETWEEN_MAX = 1_500  # seen by the witness between two kills
COMMITTED_FIRST = 0.2  # of the kills come after the loader has committed something
WHO = (("capture",), ("loader",), ("loader", "keeper"), ("capture", "loader"), ("keeper",))
POLL_S = 0.02
TIMEOUT_S = 120.0
WITNESS_COMMAND = (sys.executable, "-m", "tests.support.witness")


@dataclass
class Outcome:
    """What a trial found; ``failures`` is empty where every promise was kept."""

    seed: int
    kills: Counter[str] = field(default_factory=Counter)
    seen: int = 0
    recorded: int = 0
    rows: int = 0
    lost_in_gaps: int = 0
    failures: list[str] = field(default_factory=list)


def run_trial(folder: Path, seed: int, kills: int) -> Outcome:
    """Record into a folder, with so many kills, and judge."""
    outcome = Outcome(seed)
    log = folder / "sent.log"
    listed = ",".join(f"linear:{symbol}" for symbol in SYMBOLS)
    options = ("--symbols", listed, "--rate", str(RATE), "--seed", str(seed), "--log", str(log))
    os.environ[VARIABLE] = str(folder / "pipe")
    try:
        with seen_through(folder / "pipe") as seen:
            with simulation(*options) as venue:
                config = _config(folder, venue)
                asyncio.run(_Recording(config, seen, random.Random(seed), outcome).run(kills))
            _judge(config, seen, log, outcome)
    finally:
        del os.environ[VARIABLE]
    return outcome


def _config(folder: Path, venue: Simulation) -> RecordConfig:
    market = {"symbols": SYMBOLS, "book": [50], "trades": True}
    return checked(data=folder / "data", url=venue.ws, rest_url=venue.rest, market=[market])


class _Recording:
    """The processes of a recording, started again at once whenever they end."""

    def __init__(self, config: RecordConfig, seen: Seen, choose: random.Random, outcome: Outcome) -> None:
        self._config = config
        self._seen = seen
        self._choose = choose
        self._outcome = outcome
        self._folder = DataFolder(config.data)
        commands = {"capture": WITNESS_COMMAND, "loader": OWN_COMMAND, "keeper": OWN_COMMAND}
        self._children = {
            name: Child(name, self._handover, command=command, restart_delay_s=0.0)
            for name, command in commands.items()
        }

    async def run(self, kills: int) -> None:
        self._folder.path.mkdir()
        tasks = [asyncio.create_task(child.keep()) for child in self._children.values()]
        for child in self._children.values():
            await asyncio.wait_for(child.ready.wait(), TIMEOUT_S)
        for _ in range(kills):
            await self._random_moment()
            for name in self._choose.choice(WHO):
                self._kill(name)
        await asyncio.to_thread(self._seen.wait_for, len(self._seen.keys) + 100)
        await self._loader_has_committed()
        for name in ("capture", "loader", "keeper"):
            if not await self._children[name].stop(TIMEOUT_S):
                self._outcome.failures.append(f"{name} did not end in order")
        await asyncio.gather(*tasks)

    def _handover(self, is_resumed: bool) -> Handover:
        return Handover(self._config, is_resumed)

    async def _random_moment(self) -> None:
        """So many messages later, or after the loader, whoever it is by then, has committed something."""
        if self._choose.random() < COMMITTED_FIRST:
            await self._loader_has_committed()
        count = len(self._seen.keys) + self._choose.randrange(MESSAGES_BETWEEN_MAX)
        await asyncio.to_thread(self._seen.wait_for, count)

    async def _loader_has_committed(self) -> None:
        async with asyncio.timeout(TIMEOUT_S):
            while True:
                with suppress(json.JSONDecodeError):
                    status = self._folder.read_status("loader")
                    if status.get("pid") == self._children["loader"].pid and status.get("batches", 0):
                        return
                await asyncio.sleep(POLL_S)

    def _kill(self, name: str) -> None:
        with suppress(ProcessLookupError):  # between two lives
            os.kill(self._children[name].pid, signal.SIGKILL)
            self._outcome.kills[name] += 1


def _judge(config: RecordConfig, seen: Seen, log: Path, outcome: Outcome) -> None:
    spool = config.data / "spool"
    recorded = spool_frames(spool)
    unseen = set(seen.keys) - {key for frame in recorded for key in frame.told()}
    lost = lost_frames(sent_frames(log), recorded)
    with open_embedded(config.data / "clickhouse") as database:
        report = verify(spool, database, config.recorder)
        bare = uncovered(lost, recorded, _gaps(database))
    outcome.seen, outcome.recorded = len(seen.keys), len(recorded)
    outcome.rows = sum(check.found for check in report.rows)
    outcome.lost_in_gaps = len(lost) - len(bare)
    outcome.failures += report.problems
    if unseen:
        outcome.failures.append(f"{len(unseen)} messages seen are not in the spool: {sorted(unseen)[:3]}")
    if bare:
        outcome.failures.append(f"{len(bare)} frames lost are in no gap, the first of {bare[0].topic}")
    if not coverage(spool).is_complete:
        outcome.failures.append("some time is neither recorded nor in the ledger")


def _gaps(database: Database) -> dict[str, list[tuple[int, int]]]:
    gaps: dict[str, list[tuple[int, int]]] = defaultdict(list)
    rows = database.query("SELECT topic, toUnixTimestamp64Nano(start), toUnixTimestamp64Nano(end) FROM gaps")
    for topic, start_ns, end_ns in rows:
        gaps[topic].append((start_ns, sys.maxsize if end_ns is None else end_ns))
    return gaps
