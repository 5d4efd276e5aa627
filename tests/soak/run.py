"""One soak: a simulator at a busy rate, a recording of it, and what must be true during and after."""

import asyncio
import json
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from recorder.config import RecordConfig, checked
from recorder.database.clickhouse import open_embedded
from recorder.folder import DataFolder
from recorder.recording.supervisor import Status, Supervisor
from recorder.spool.segments import loaded_through
from tests.soak.samples import Samples
from tests.support.recordings import Simulation, simulation, tapehead

CAPTURE_COMMAND = (sys.executable, "-m", "tests.soak.capture")
SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT")
SAMPLE_S = 2.0
WARM_UP_SHARE = 0.25
RETENTION = "20s"
LAG_S_MAX = 30.0
VERIFY_TIMEOUT_S = 1_800.0


@dataclass
class Outcome:
    """What a soak found; ``failures`` is empty where all is as it must be."""

    minutes: float
    rate: int
    seed: int
    frames: int = 0
    rows: int = 0
    kept: dict[str, int] = field(default_factory=dict)
    loaded_segments: int = 0
    batches: int = 0
    parts: int = 0
    merge_level_max: int = 0
    lag_s_max: float = 0.0
    processes: dict[str, Any] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)


def soak(folder: Path, minutes: float, rate: int, seed: int) -> Outcome:
    """Record into a folder for so long, and judge."""
    outcome = Outcome(minutes, rate, seed)
    listed = ",".join(f"linear:{symbol}" for symbol in SYMBOLS)
    with simulation("--symbols", listed, "--rate", str(rate), "--seed", str(seed)) as venue:
        samples = Samples()
        status = asyncio.run(_record(_config(folder, venue), minutes * 60, samples, outcome))
    _judge_run(status, outcome)
    warm_up_s = minutes * 60 * WARM_UP_SHARE
    outcome.processes = samples.judged(warm_up_s)
    outcome.failures += samples.growing(warm_up_s)
    _judge_contents(DataFolder(folder / "data"), outcome)
    return outcome


def _config(folder: Path, venue: Simulation) -> RecordConfig:
    market = {"symbols": SYMBOLS, "book": [50], "trades": True, "tickers": True}
    return checked(
        data=folder / "data",
        url=venue.ws,
        rest_url=venue.rest,
        market=[market],
        spool={"retention": RETENTION},
    )


async def _record(config: RecordConfig, seconds: float, samples: Samples, outcome: Outcome) -> Status:
    supervisor = Supervisor(config, capture_command=CAPTURE_COMMAND)
    stop = asyncio.Event()
    running = asyncio.create_task(supervisor.run(stop))
    children = {"capture": supervisor.capture, "loader": supervisor.loader, "keeper": supervisor.keeper}
    for child in children.values():
        await asyncio.wait((asyncio.create_task(child.ready.wait()), running), return_when="FIRST_COMPLETED")
    begun = time.monotonic()
    while (elapsed_s := time.monotonic() - begun) < seconds and not running.done():
        samples.take(elapsed_s, {name: child.pid for name, child in children.items()})
        lag_s = float(supervisor.status().loader.get("lag_s", 0))
        outcome.lag_s_max = max(outcome.lag_s_max, lag_s)
        await asyncio.sleep(SAMPLE_S)
    status = supervisor.status()
    stop.set()
    if not await running:
        outcome.failures.append("the loader did not load the rest")
    return status


def _judge_run(status: Status, outcome: Outcome) -> None:
    outcome.frames = int(status.capture.get("frames", 0))
    outcome.batches = int(status.loader.get("batches", 0))
    names = ("sealed", "compressed", "expired", "dropped", "unsound")
    outcome.kept = {name: int(status.keeper.get(name, 0)) for name in names}
    restarts = {name: count for name, count in status.restarts.items() if count}
    if restarts:
        outcome.failures.append(f"processes ended and were started again: {restarts}")
    if status.capture.get("not_recorded"):
        outcome.failures.append(f"{status.capture['not_recorded']} frames were not recorded")
    outcome.failures += [
        f"no segment was {name}: run longer, or at a higher rate"
        for name in ("sealed", "compressed", "expired")
        if not outcome.kept[name]
    ]
    outcome.failures += [
        f"{name}: {outcome.kept[name]}" for name in ("dropped", "unsound") if outcome.kept[name]
    ]
    if outcome.lag_s_max > LAG_S_MAX:
        outcome.failures.append(f"the loader was {outcome.lag_s_max} s behind")


def _judge_contents(place: DataFolder, outcome: Outcome) -> None:
    outcome.loaded_segments = loaded_through(place.spool)
    verified = tapehead("verify", str(place.path), "--json", timeout_s=VERIFY_TIMEOUT_S)
    if verified.returncode != 0:
        said = json.loads(verified.stdout.splitlines()[-1]) if verified.stdout else {}
        outcome.failures += said.get("problems") or [verified.stderr]
    with open_embedded(place.database) as database:
        gaps = database.query("SELECT topic, cause, detail FROM gaps")
        outcome.failures += [f"gap of {topic}: {cause} {detail}" for topic, cause, detail in gaps]
        ((outcome.parts, outcome.merge_level_max, outcome.rows),) = database.query(
            "SELECT count(), max(level), sum(rows) FROM system.parts"
            " WHERE active AND database = currentDatabase()"
        )
    if not outcome.merge_level_max:
        outcome.failures.append("nothing was merged: run longer")
