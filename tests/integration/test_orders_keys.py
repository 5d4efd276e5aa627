"""Keys that will not do, each with its own words; and a secret that shows nowhere, whatever goes wrong."""

import asyncio
import contextlib
import logging
import os
import re
import signal
import sys
import traceback
from pathlib import Path
from typing import Any

import pytest

import engine
from engine.bybit.credentials import Credentials
from engine.bybit.http import Http
from engine.orders.key import check_key
from tests.support.loops import run
from tests.support.trading import KEY, SECRET, SYMBOL, becomes, floor
from tests.support.venue_rest import Answer, Venue, served

DUMMY: str = "dUmMy5ecretN0bodyMaySee"
OTHERS = (
    f"{KEY}:{SECRET}:1000",
    f"gone:{DUMMY}:1000:expires_ms=1",
    f"reader:{DUMMY}:1000:read_only",
    f"rich:{DUMMY}:1000:withdraw",
    f"bound:{DUMMY}:1000:ip=10.0.0.1",
)

REFUSED = {
    "nobody": "there is no such key in testnet: copy it again, or name the environment that made it",
    KEY: "the secret does not belong to this key: copy it again",
    "gone": r"the key has expired \(90 days without an IP binding\): make a new one",
    "reader": "the key may only read: make one that may trade",
    "rich": r"the key may withdraw, which trading does not need: .*allow_withdrawal=True",
    "bound": "the key is bound to other addresses",
}


def test_each_key_that_will_not_do_says_why_and_no_secret_shows(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    said: list[str] = []

    async def main() -> None:
        async with floor(tmp_path, *OTHERS) as place:
            for key, words in REFUSED.items():
                client = place.client(key=key, secret=DUMMY)
                said.append(repr(client))
                with pytest.raises(engine.TapeheadError, match=words) as caught:
                    async with client:
                        pass
                said.append("".join(traceback.format_exception(caught.value)) + repr(caught.value))
            async with place.client(key="rich", secret=DUMMY, allow_withdrawal=True) as orders:
                said.append(repr(vars(orders)) + repr(vars(orders.venue)) + repr(vars(orders.venue.rest)))
                await place.tell("faults", [{"fault": "http_after"}, {"fault": "cut_after", "times": 2}])
                for _ in range(3):
                    order = await orders.place(*SYMBOL, **_limit(place.price()))
                    said.append(repr(order))
                    await becomes(lambda: orders.venue.is_ready)

    run(main(), 60)
    out, err = capfd.readouterr()
    everything = "".join([*said, caplog.text, out, err, *map(str, caplog.records)])
    assert "the key is bound to no address" in everything
    assert DUMMY not in everything
    assert not re.search(r"[0-9a-f]{64}", everything)  # nor a signature


def _limit(price: str) -> dict[str, Any]:
    return {"side": "Buy", "order_type": "Limit", "qty": "0.001", "price": price}


def test_a_key_of_another_environment_is_found_there() -> None:
    here = Venue(lambda asked: Answer(10003, "API key is invalid."))
    there = Venue(lambda asked: Answer(result={"readOnly": 0, "permissions": {}, "ips": ["*"]}))

    async def main() -> None:
        async with served(here), served(there):
            credentials = Credentials("testnet", KEY, SECRET)
            async with Http("testnet", url=here.url, credentials=credentials) as http:
                await check_key(http, elsewhere={"testnet": here.url, "mainnet": there.url})

    with pytest.raises(engine.UsageError, match="the key is one of mainnet, and testnet was named"):
        run(main())


@pytest.mark.parametrize("ahead_s", [5, -2])
def test_a_clock_that_is_wrong_is_told_and_does_not_matter(
    ahead_s: int, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    async def main() -> float:
        async with floor(tmp_path, ahead_s=ahead_s) as place, place.client() as orders:
            order = await orders.place(*SYMBOL, **_limit(place.price()))
            assert not order.is_final
            return float(orders.venue.ahead_ms)

    ahead_ms = run(main())
    word = "ahead of" if ahead_ms > 0 else "behind"
    seconds = f"{abs(ahead_ms) / 1_000:.1f}"
    assert abs(ahead_ms) > 1_500
    assert f"this machine's clock is {seconds} s {word} the venue's: set it (NTP)" in caplog.text


def test_a_watchdog_that_finds_another_key_is_no_watchdog(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TAPEHEAD_TESTNET_KEY", "another")
    monkeypatch.setenv("TAPEHEAD_TESTNET_SECRET", DUMMY)

    async def main() -> None:
        async with floor(tmp_path) as place:
            with pytest.raises(engine.ConnectError, match="watchdog"):
                async with place.client(watchdog_s=1):
                    pass

    run(main(), 60)
    said = capfd.readouterr().err
    assert "the key that the watchdog found is not the client's" in said
    assert DUMMY not in said


PARENT = """
import asyncio, os, sys
from decimal import Decimal
from pathlib import Path
from engine.orders import Limits, OrderClient

async def main():
    ws, rest, price, folder = sys.argv[1:]
    async with OrderClient(url=ws, rest_url=rest, state_folder=Path(folder), watchdog_s=1,
                           limits=Limits(needs_book=False, max_position_notional=None)) as orders:
        order = await orders.place("linear", "BTCUSDT", side="Buy", order_type="Limit", qty="0.001",
                                   price=price)
        print(order.link_id, flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def arguments(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text()


def runs(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_the_watchdog_cancels_when_its_parent_is_gone_or_hangs(
    tmp_path: Path, number: signal.Signals
) -> None:
    async def main() -> None:
        async with floor(tmp_path, f"watched:{DUMMY}:1000000") as place:
            variables = {**os.environ, "TAPEHEAD_TESTNET_KEY": "watched", "TAPEHEAD_TESTNET_SECRET": DUMMY}
            parent = await asyncio.create_subprocess_exec(
                *(sys.executable, "-c", PARENT, place.simulator.ws, place.simulator.rest, place.price()),
                str(tmp_path),
                stdout=asyncio.subprocess.PIPE,
                env=variables,
            )
            try:
                assert parent.stdout is not None
                link_id = (await parent.stdout.readline()).decode().strip()
                assert await place.open_orders() == [link_id]
                (child,) = children(parent.pid)
                assert DUMMY not in arguments(child)
                parent.send_signal(number)
                async with asyncio.timeout(20):
                    while await place.open_orders():  # noqa: ASYNC110 - another process does it
                        await asyncio.sleep(0.1)
            finally:
                with contextlib.suppress(ProcessLookupError):
                    parent.kill()
                await parent.wait()
            await becomes(lambda: not runs(child))

    run(main(), 60)
