"""One trial: orders through an exchange that fails, by a client that is killed, and who is right."""

import asyncio
import json
import os
import random
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections import Counter
from dataclasses import asdict, dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import aiohttp

from tests.orders_chaos.judge import judge
from tests.orders_chaos.worker import OPEN_ORDERS_MAX, POSITION_MAX, Job
from tests.support.recordings import ROOT
from tests.support.simulator_process import SimulatorProcess, simulated

KEY, SECRET = "k3yEXAMPLE0001", "s3cretEXAMPLE0001"
MARKET = ("--symbols", "linear:BTCUSDT", "--rate", "50")
POLL_S = 0.05
KILL_WITHIN_S = 0.4  # of the order that was to be the last
LIFE_S = 40.0  # a start, its waiting for what an earlier one may have sent, and the end of what it left open
ORDER_S = 2.0

ORDER_FAULTS: list[dict[str, Any]] = [
    {"fault": "ack_lost", "chance": 0.05},
    {"fault": "request_lost", "chance": 0.02},
    {"fault": "accepted_late", "chance": 0.04, "late_ms": 900},
    {"fault": "accepted_late", "chance": 0.04, "late_ms": 2_300},
    {"fault": "accepted_late_error", "chance": 0.03, "late_ms": 1_800},
    {"fault": "placed_late", "chance": 0.05, "late_ms": 600},
    {"fault": "fill_before_ack", "chance": 0.05, "late_ms": 300},
    {"fault": "error_after", "chance": 0.02},
    {"fault": "error_before", "chance": 0.02},
    {"fault": "cut_after", "chance": 0.01},
    {"fault": "cut_before", "chance": 0.01},
    {"fault": "raced_cancel", "chance": 0.05},
    {"fault": "stream_late", "chance": 0.1, "late_ms": 700},
    {"fault": "stream_again", "chance": 0.1, "late_ms": 1_200},
]
# What a client sends just before it is killed shows only when the next one has started.
LATE_FAULTS: list[dict[str, Any]] = [{"fault": "accepted_late", "times": 4, "late_ms": 2_500}]
LINK_FAULTS: list[dict[str, Any]] = [
    {"fault": "close_1006", "category": "private", "age_ms": 8_000, "times": 0},
    {"fault": "reset", "category": "trade", "age_ms": 6_000, "times": 0},
    {"fault": "frozen", "category": "private", "age_ms": 4_000, "times": 0, "ms": 1_500},
]


@dataclass
class Outcome:
    """What a trial found; ``failures`` is empty where client and exchange agree."""

    seed: int
    kills: int = 0
    sent: int = 0
    placed: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    states: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)


async def run_trial(folder: Path, seed: int, orders: int, kills: int) -> Outcome:
    """Have so many orders sent, with so many kills in between, and judge."""
    outcome = Outcome(seed)
    log = folder / "exchange.log"
    account = ("--account", f"{KEY}:{SECRET}:1000000:limit=100", "--exchange-log", str(log))
    async with simulated(*MARKET, *account, "--seed", str(seed)) as simulator:
        trial = _Trial(folder, simulator, outcome)
        async with asyncio.timeout(orders * ORDER_S + (kills + 2) * LIFE_S), trial:
            await trial.run(orders, kills)
        exchange = (await _asked(simulator, "get", "exchange/accounts"))["accounts"][0]
        happened = [(await _asked(simulator, "get", name))["log"] for name in ("exchange/faults", "faults")]
    notes, lines = _lines(folder / "notes"), _lines(log)
    kinds = Counter(line["what"] for line in notes)
    outcome.sent = kinds["sent"] - kinds["unsent"]
    outcome.placed = len({line["orderId"] for line in lines if line["what"] == "order"})
    outcome.faults.update(line["fault"] for line in chain(*happened))
    outcome.states.update(line["state"] for line in notes if line["what"] == "state")
    outcome.failures += judge(notes, lines, exchange, position_max=POSITION_MAX, open_max=OPEN_ORDERS_MAX)
    return outcome


class _Trial:
    """The worker of a trial, started again whenever it was killed."""

    def __init__(self, folder: Path, simulator: SimulatorProcess, outcome: Outcome) -> None:
        self._folder = folder
        self._simulator = simulator
        self._outcome = outcome
        self._dice = random.Random(f"{outcome.seed}:kills")
        self._lives = 0
        self._process: Process | None = None

    async def __aenter__(self) -> None:
        return None

    async def __aexit__(self, *error: object) -> None:
        await self._kill()

    async def run(self, orders: int, kills: int) -> None:
        await _asked(self._simulator, "post", "exchange/faults", ORDER_FAULTS)
        await _asked(self._simulator, "post", "faults", LINK_FAULTS)
        moments = sorted(self._dice.sample(range(1, orders), kills))
        for moment in moments:
            await self._start(orders)
            await self._sent(moment)
            await _asked(self._simulator, "post", "exchange/faults", LATE_FAULTS)
            await asyncio.sleep(self._dice.uniform(0, KILL_WITHIN_S))
            await self._kill()
            self._outcome.kills += 1
        await self._start(orders)
        await self._sent(orders)
        await _asked(self._simulator, "delete", "exchange/faults")
        await _asked(self._simulator, "delete", "faults")
        assert self._process is not None
        await self._process.communicate(b"end\n")
        if self._process.returncode != 0:
            self._outcome.failures.append(f"the client ended with code {self._process.returncode}")

    async def _start(self, orders: int) -> None:
        self._lives += 1
        wants = [line["want"] for line in _lines(self._folder / "notes") if line["what"] == "want"]
        job = Job(
            ws=self._simulator.ws,
            rest=self._simulator.rest,
            folder=str(self._folder),
            seed=self._outcome.seed,
            life=self._lives,
            first_want=max(wants, default=-1) + 1,
            wants=orders,
        )
        keys = {"TAPEHEAD_TESTNET_KEY": KEY, "TAPEHEAD_TESTNET_SECRET": SECRET}
        with (self._folder / "stderr").open("ab") as errors:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-m", "tests.orders_chaos.worker", json.dumps(asdict(job))),
                stdin=PIPE,
                stdout=DEVNULL,
                stderr=errors,
                cwd=ROOT,
                env=os.environ | keys,
            )

    async def _sent(self, count: int) -> None:
        """Return once so many wants were begun, or the worker ended by itself."""
        assert self._process is not None
        while _count(self._folder / "notes", b'"what": "want"') < count:
            if self._process.returncode is not None:
                raise AssertionError((self._folder / "stderr").read_text()[-2_000:])
            await asyncio.sleep(POLL_S)

    async def _kill(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()


async def _asked(simulator: SimulatorProcess, method: str, name: str, body: Any = None) -> Any:
    async with (
        aiohttp.ClientSession() as http,
        http.request(method, f"{simulator.rest}/simulator/{name}", json=body) as answer,
    ):
        assert answer.status == 200, await answer.text()
        return await answer.json()


def _lines(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def _count(path: Path, text: bytes) -> int:
    return path.read_bytes().count(text) if path.exists() else 0
