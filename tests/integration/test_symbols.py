"""`tapehead symbols`: what the venue lists, searched, filtered and ranked."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from recorder.errors import ExitCode
from tests.support.recordings import Simulation, simulation, tapehead

LISTED = (
    "linear:BTCUSDT,linear:ETHUSDT,linear:BTCPERP,linear:NEWUSDT:PreLaunch,linear:OLDUSDT:Closed,spot:BTCUSDT"
)


@pytest.fixture(scope="module")
def venue() -> Iterator[Simulation]:
    with simulation("--symbols", LISTED) as running:
        yield running


def asked(venue: Simulation, *arguments: str) -> dict[str, Any]:
    done = tapehead("symbols", *arguments, "--rest-url", venue.rest, "--json")
    assert done.returncode == ExitCode.OK, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def names(venue: Simulation, *arguments: str) -> list[str]:
    return [row["symbol"] for row in asked(venue, *arguments)["symbols"]]


def test_all_that_may_have_data_is_listed_with_its_grid(venue: Simulation) -> None:
    answer = asked(venue)
    assert [row["symbol"] for row in answer["symbols"]] == ["BTCPERP", "BTCUSDT", "ETHUSDT"]
    assert answer["listed"] == 5
    assert answer["symbols"][1] | {"turnover_24h": None, "launch": None} == {
        "symbol": "BTCUSDT",
        "category": "linear",
        "status": "Trading",
        "contract_type": "LinearPerpetual",
        "base_coin": "BTC",
        "quote_coin": "USDT",
        "settle_coin": "USDT",
        "price_tick": "0.10",
        "size_step": "0.001",
        "launch": None,
        "delivery": None,
        "turnover_24h": None,
    }


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["eth"], ["ETHUSDT"]),
        (["btc*"], ["BTCPERP", "BTCUSDT"]),
        (["*", "--quote", "USDC"], ["BTCPERP"]),
        (["--base", "ETH"], ["ETHUSDT"]),
        (["--status", "PreLaunch"], ["NEWUSDT"]),
        (["--status", "all"], ["BTCPERP", "BTCUSDT", "ETHUSDT", "NEWUSDT", "OLDUSDT"]),
        (["--category", "spot"], ["BTCUSDT"]),
        (["--category", "spot", "--category", "linear", "btcusdt"], ["BTCUSDT", "BTCUSDT"]),
    ],
)
def test_it_searches(venue: Simulation, arguments: list[str], expected: list[str]) -> None:
    assert names(venue, *arguments) == expected


def test_the_top_is_ranked(venue: Simulation) -> None:
    rows = asked(venue, "--top", "2")["symbols"]
    assert len(rows) == 2
    assert int(rows[0]["turnover_24h"]) >= int(rows[1]["turnover_24h"])


def test_for_people_it_is_a_table_and_a_miss_names_the_nearest(venue: Simulation) -> None:
    done = tapehead("symbols", "--rest-url", venue.rest)
    assert "ETHUSDT" in done.stdout
    assert "3 of 5 symbols" in done.stdout
    done = tapehead("symbols", "BTCUSTD", "--rest-url", venue.rest)
    assert "0 of 5 symbols; the nearest: BTCUSDT" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--category", "liner"], "use linear"),
        (["--status", "trading"], "use Trading"),
        (["--environment", "mainet"], "mainnet"),
        (["BTC'; DROP"], "a pattern has at most"),
    ],
)
def test_what_cannot_be_is_refused(venue: Simulation, arguments: list[str], expected: str) -> None:
    done = tapehead("symbols", *arguments, "--rest-url", venue.rest, "--json")
    assert done.returncode == ExitCode.USAGE
    assert expected in done.stdout
    assert "Traceback" not in done.stderr
