"""The examples that trade, as processes against the simulator's exchange."""

import asyncio
import re
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.support.loops import run
from tests.support.trading import KEY, SECRET, Floor, floor

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
BALANCE = f"{KEY}:{SECRET}:10000"
HELD = r"^position -?0\.\d*[1-9]"


@asynccontextmanager
async def example(name: str, place: Floor, folder: Path) -> AsyncIterator[Process]:
    """Run an example on the exchange; what is left of it at the end is killed."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(EXAMPLES / name),
        place.simulator.ws,
        place.simulator.rest,
        stdout=PIPE,
        stderr=PIPE,
        cwd=folder,
        env={
            "PYTHONPATH": str(ROOT),
            "XDG_STATE_HOME": str(folder / "state"),
            "TAPEHEAD_TESTNET_KEY": KEY,
            "TAPEHEAD_TESTNET_SECRET": SECRET,
        },
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def said(process: Process, pattern: str) -> str:
    """Return the first line that matches."""
    assert process.stdout is not None
    async for line in process.stdout:
        if re.search(pattern, line.decode()):
            return line.decode()
    assert process.stderr is not None
    raise AssertionError((await process.stderr.read()).decode())


async def ended(process: Process) -> str:
    """Press Ctrl-C and return what it wrote to stderr; it ends with code 0."""
    process.send_signal(signal.SIGINT)
    _, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    return errors.decode()


async def state(place: Floor) -> dict[str, Any]:
    """Return what the exchange says of the account."""
    (account,) = (await place.ask("accounts"))["accounts"]
    found: dict[str, Any] = account
    return found


def test_the_bot_enters_with_a_stop_trails_it_and_ends_flat(tmp_path: Path) -> None:
    async def main() -> None:
        async with floor(tmp_path, BALANCE) as place, example("bot.py", place, tmp_path) as bot:
            await said(bot, HELD)
            held = await state(place)
            while not any(row["stopOrderType"] == "TrailingStop" for row in held["live"]):
                await asyncio.sleep(0.05)  # the bot's own request is what is awaited
                held = await state(place)
            kinds = {row["stopOrderType"] for row in held["live"]}
            assert "TakeProfit" in kinds
            (position,) = held["positions"]
            lost_at_stop = float(position["size"]) * float(position["entry"]) * 0.004
            assert lost_at_stop <= 10_000 * 0.005
            await ended(bot)
            left = await state(place)
            assert (left["live"], left["positions"]) == ([], [])

    run(main(), timeout_s=60)


def test_the_bot_goes_on_after_a_lost_request_and_a_cut_connection(tmp_path: Path) -> None:
    async def main() -> None:
        async with floor(tmp_path, BALANCE) as place:
            script = [{"fault": "request_lost"}, {"fault": "cut_after", "path": "*order/create"}]
            await place.tell("faults", script)
            async with example("bot.py", place, tmp_path) as bot:
                for became in ("UNKNOWN", "NOT_PLACED", "(FILLED|CANCELLED)", "(ACCEPTED|LIVE)"):
                    await said(bot, f"-> {became}")
                await ended(bot)
            links = [
                (line["orderLinkId"], line["orderId"])
                for line in (await place.ask("log"))["lines"]
                if line["what"] == "order" and line["orderLinkId"]
            ]
            assert len({link for link, _ in links}) == len({one for _, one in links})
            left = await state(place)
            assert (left["live"], left["positions"]) == ([], [])

    run(main(), timeout_s=60)


def test_the_market_maker_quotes_both_sides_and_leaves_none(tmp_path: Path) -> None:
    async def main() -> None:
        async with floor(tmp_path, BALANCE) as place, example("market_maker.py", place, tmp_path) as maker:
            await said(maker, r"^Buy [\d.]+ LIVE")
            await said(maker, r"^Sell [\d.]+ LIVE")
            sides = {line["side"] for line in (await place.ask("log"))["lines"] if line["what"] == "order"}
            assert sides == {"Buy", "Sell"}
            await ended(maker)
            left = await state(place)
            assert left["live"] == []
            assert all(abs(float(one["size"])) <= 0.02 for one in left["positions"])

    run(main(), timeout_s=60)


def test_the_market_maker_fits_a_page() -> None:
    assert len((EXAMPLES / "market_maker.py").read_text().splitlines()) <= 80
