"""How long from a book frame to the order it leads to, on a loopback socket, beside a bare echo?"""

import asyncio
import contextlib
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import uvloop

from benchmarks import native, stream, tick_server
from benchmarks.harness import (
    ROOT,
    BenchmarkError,
    Facts,
    Options,
    Spread,
    cores,
    goal,
    machine,
    pin,
    spawn,
    versions,
)
from benchmarks.report import Table, number, spread_text

ROUNDS: Final = 3
MESSAGES: Final = 3_000
GAP_US: Final = 200
WARM_SHARE: Final = 0.1
WORK_S_MAX: Final = 300
REFERENCE: Final = "echo"
PEER: Final = "pybit"
OVER_GOALS_US: Final = (("cython", 5.0), ("python", 10.0))
TIMES_LESS: Final = 10.0
RESOLUTION_US: Final = 0.1  # differences of medians below it say nothing


def run(options: Options) -> Facts:
    rounds = options.rounds or (1 if options.quick else ROUNDS)
    messages = options.messages or (200 if options.quick else MESSAGES)
    conditions = machine()
    native.build()
    # pybit's work between two frames of ours would empty the processor's caches: it is paired apart.
    taken: list[Facts] = [
        spawn("tick_to_order", {"messages": messages, "traders": [REFERENCE, PEER]})
        | spawn("tick_to_order", {"messages": messages, "traders": [REFERENCE, "cython", "python"]})
        for _ in range(rounds)
    ]
    rows = [
        {
            "name": name,
            "title": taken[0][name]["title"],
            **{
                key: Spread.of([one[name][key] for one in taken]).facts()
                for key in ("p50_us", "p99_us", "over_echo_us")
            },
        }
        for name in (REFERENCE, "cython", "python", PEER)
    ]
    over = {row["name"]: row["over_echo_us"]["median"] for row in rows}
    less = [one[PEER]["over_echo_us"] / max(one["cython"]["over_echo_us"], RESOLUTION_US) for one in taken]
    return {
        "benchmark": "tick_to_order",
        "machine": conditions,
        "versions": versions(["picows", "pybit", "uvloop"]),
        "rounds": rounds,
        "messages": messages,
        "traders": rows,
        "goals": [
            *(
                goal(f"{name} listener, us over a bare echo (p50)", over[name], limit, at_most=True)
                for name, limit in OVER_GOALS_US
            ),
            goal(
                "overhead of pybit / of tapehead, Cython listener",
                statistics.median(less),
                TIMES_LESS,
                at_most=False,
            ),
        ],
    }


def work(spec: dict[str, Any]) -> Facts:
    from benchmarks import traders  # compiled by `run`

    serving_core, own_core = cores()
    pin(own_core)
    everyone = [traders.TRADERS[name] for name in spec["traders"]]
    given = stream.generate(traders.DEPTH, spec["messages"])
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        stream.save(given, Path(folder))
        result = uvloop.run(trade(Path(folder), serving_core, [one() for one in everyone]))
    for one in everyone:
        if one.name != REFERENCE:
            check(one.title, result["orders"][one.name], given, traders.QTY_TEXT)
    warm = round(len(given.frames) * WARM_SHARE)
    took = {name: times[warm:] for name, times in result["took_ns"].items()}
    return {one.name: {"title": one.title, **summary(took[one.name], took[REFERENCE])} for one in everyone}


async def trade(folder: Path, core: int, everyone: Sequence[Any]) -> Facts:
    """Connect every trader, let the server play, and return what it found."""
    server = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "benchmarks.tick_server", str(folder), str(core), str(GAP_US)),
        *(one.name for one in everyone),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=ROOT,
    )
    assert server.stdin is not None
    assert server.stdout is not None
    try:
        port = int(await server.stdout.readline())
        for one in everyone:
            await one.start(port)
        server.stdin.write(b"\n")
        async with asyncio.timeout(WORK_S_MAX):
            if not await server.stdout.readline():
                raise BenchmarkError("the server failed: what it wrote is above")
    finally:
        for one in everyone:
            one.close()
        with contextlib.suppress(ProcessLookupError):
            server.kill()
        await server.wait()
    facts: Facts = json.loads((folder / tick_server.RESULT_FILE).read_text())
    return facts


def check(title: str, received: Sequence[str], given: stream.Stream, qty: str) -> None:
    """Every frame led to one order, to buy at the best bid of that frame; else there is nothing to time."""
    requests = [json.loads(text) for text in received]
    orders = [request["args"][0] for request in requests]
    if len(orders) != len(given.best) or len({request["reqId"] for request in requests}) != len(orders):
        raise BenchmarkError(f"{title}: {len(given.best)} frames led to {len(orders)} orders, or ids repeat")
    for at, (order, (bid, _)) in enumerate(zip(orders, given.best, strict=True)):
        found = order["symbol"], order["side"], order["qty"], Decimal(order["price"])
        if found != (stream.SYMBOL, "Buy", qty, bid):
            raise BenchmarkError(f"{title}: frame {at} led to {found}, the best bid was {bid}")


def summary(took_ns: Sequence[int], echo_ns: Sequence[int]) -> Facts:
    p50_us, echo_p50_us = statistics.median(took_ns) / 1e3, statistics.median(echo_ns) / 1e3
    return {
        "p50_us": p50_us,
        "p99_us": statistics.quantiles(took_ns, n=100)[98] / 1e3,
        "over_echo_us": p50_us - echo_p50_us,
    }


def tables(facts: Facts) -> list[Table]:
    title = (
        f"book frame sent -> order received, loopback, {facts['messages']:,} frames of orderbook.50, "
        "each trader in turn for each frame"
    )
    columns = ("trader", "p50 us", "p99 us", "p50 over the echo, us")
    rows = [
        (
            row["title"],
            spread_text(row["p50_us"]),
            spread_text(row["p99_us"]),
            signed(row["over_echo_us"]),
        )
        for row in facts["traders"]
    ]
    return [Table(title, columns, rows)]


def signed(spread: Facts) -> str:
    return spread_text(spread) if spread["median"] > 0 else number(0)
