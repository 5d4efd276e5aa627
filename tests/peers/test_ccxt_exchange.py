"""ccxt trades on the simulator's exchange, with nothing changed but the host: `make peers`."""

import asyncio
import json
from asyncio.subprocess import PIPE
from pathlib import Path
from typing import Any

import pytest

from tests.support.simulator_process import simulated

HERE = Path(__file__).parent
PYTHON = HERE.parents[1] / ".venv-peers" / "bin" / "python"
KEY, SECRET = "ccxt-key", "ccxt-secret"
TIMEOUT_S = 60

if not (HERE.parents[1] / ".venv-peers" / ".installed").exists():
    pytest.skip("the peers' environment is not there: `make peers` makes it", allow_module_level=True)


async def trade() -> dict[str, Any]:
    market = ("--symbols", "linear:BTCUSDT,spot:BTCUSDT", "--rate", "50")
    async with simulated(*market, "--account", f"{KEY}:{SECRET}:100000") as simulator:
        arguments = (str(HERE / "trade_ccxt.py"), simulator.ws, simulator.rest, KEY, SECRET)
        child = await asyncio.create_subprocess_exec(PYTHON, *arguments, stdout=PIPE, stderr=PIPE)
        try:
            out, errors = await asyncio.wait_for(child.communicate(), TIMEOUT_S)
        finally:
            if child.returncode is None:
                child.kill()
                await child.wait()
        assert child.returncode == 0, errors.decode()[-3000:]
        found: dict[str, Any] = json.loads(out.splitlines()[-1])
        return found


def test_ccxt_trades_by_rest_and_by_sockets() -> None:
    assert asyncio.run(trade()) == {
        "before": 100_000.0,
        "watched": ["open"],
        "edited": [0.02],
        "after_cancel": True,
        "trade": [0.01],
        "balance_came": True,
        "watched_position": ["long", 0.01],
        "positions": [["long", 0.01]],
        "conditional": 1,
        "stops": ["90000", "80000"],
        "batch": 2,
        "open": 0,
        "fills": ["buy"],
        "by_socket": [0.03],
        "coins": True,
        "refused": "InsufficientFunds",
    }
