"""``tapehead rest``: what the venue answers, printed."""

import asyncio
import json

import pytest

from recorder.cli import main
from tests.support.loops import run
from tests.support.simulator_process import simulated


def test_a_public_endpoint_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    async def ask() -> None:
        async with simulated("--symbols", "linear:BTCUSDT,linear:ETHUSDT") as simulator:
            url = ["--rest-url", simulator.rest]
            tickers = ["rest", "market/tickers", "category=linear", "symbol=BTCUSDT", *url]
            assert await asyncio.to_thread(main, tickers) == 0
            (one,) = json.loads(capsys.readouterr().out)["list"]
            assert one["symbol"] == "BTCUSDT"
            listed = ["rest", "/v5/market/instruments-info", "category=linear", "limit=1", "--all", *url]
            assert await asyncio.to_thread(main, listed) == 0
            found = json.loads(capsys.readouterr().out)["list"]
            assert sorted(row["symbol"] for row in found) == ["BTCUSDT", "ETHUSDT"]

    run(ask())


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["order/create", "a=1"], "/v5/order/create needs a key"),
        (["market/tickers", "linear"], "'linear' is no parameter: write NAME=VALUE"),
    ],
)
def test_what_cannot_be_asked_says_what_to_do(
    arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["rest", *arguments]) == 2
    assert says in capsys.readouterr().err
