"""What does it cost to record a whole venue: books, companion level 1 and trades of many symbols, live?"""

import asyncio
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import accumulate
from pathlib import Path
from typing import Any, Final

import uvloop

from benchmarks import stream, venue_server
from benchmarks.harness import ROOT, Facts, Options, Spread, cores, goal, machine, pin, spawn, versions
from benchmarks.report import Table, number, spread_text
from engine import BookState, Feed, Listener
from recorder.config import checked
from recorder.recording.capture import Capture

ROUNDS: Final = 3
SYMBOLS: Final = 600
RATE: Final = 10_000  # messages a second, all topics together
SECONDS: Final = 20
# How many of a hundred messages: the level-1 stream of a live book is nearly as busy as its depth 50.
SHARES: Final = {"orderbook.50": 45, "orderbook.1": 40, "publicTrade": 15}
LIBRARIES: Final = ("picows", "uvloop", "orjson")
NO_REST: Final = "http://127.0.0.1:1"  # nothing answers there: capture goes on without
POLL_S: Final = 0.02
POLLS_MAX: Final = 3_000
CORE_SHARE_MAX: Final = 0.25
SEED: Final = 7
# Level 1 and depth 50 are drawn apart, so they must never meet at one cross sequence number.
LEVEL_1_SEQ: Final = stream.START_SEQ - 10**11


def run(options: Options) -> Facts:
    rounds = options.rounds or (1 if options.quick else ROUNDS)
    symbols = 12 if options.quick else SYMBOLS
    rate = 500 if options.quick else RATE
    messages = options.messages or (500 if options.quick else RATE * SECONDS)
    conditions = machine()
    taken: dict[str, list[Facts]] = {"with": [], "without": []}
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        draw(Path(folder), symbols, messages)
        for _ in range(rounds):
            for name, facts in taken.items():
                spec = {"folder": folder, "symbols": symbols, "rate": rate, "companion": name == "with"}
                facts.append(spawn("venue", spec))
    shares = {name: [facts["core_share"] for facts in rounds_] for name, rounds_ in taken.items()}
    companion = Spread.of(
        [1 - without / with_ for without, with_ in zip(shares["without"], shares["with"], strict=True)]
    )
    return {
        "benchmark": "venue",
        "machine": conditions,
        "versions": versions(LIBRARIES),
        "rounds": rounds,
        "symbols": symbols,
        "messages": messages,
        "rows": [
            {
                "name": f"{name} orderbook.1",
                "right": all(facts["right"] for facts in rounds_),
                "messages_per_s": Spread.of([facts["messages_per_s"] for facts in rounds_]).facts(),
                "core_share": Spread.of(shares[name]).facts(),
                "us_a_message": Spread.of([facts["us_a_message"] for facts in rounds_]).facts(),
                "frames_a_write": Spread.of([facts["frames_a_write"] for facts in rounds_]).facts(),
                "connections": rounds_[0]["connections"],
            }
            for name, rounds_ in taken.items()
        ],
        "companion_share": companion.facts(),
        "goals": [
            goal(
                f"share of a core that capture takes, {symbols} symbols at {rate:,} messages/s",
                Spread.of(shares["with"]).median,
                CORE_SHARE_MAX,
                at_most=True,
            )
        ],
    }


# what is sent


def symbol_names(count: int) -> list[str]:
    return [f"COIN{number:03d}USDT" for number in range(count)]


def draw(folder: Path, symbols: int, messages: int) -> None:
    """Write the first frame of each topic and `messages` further ones in the order of sending."""
    rng = random.Random(SEED)
    names = symbol_names(symbols)
    sources: dict[str, Iterator[bytes]] = {}
    for index, name in enumerate(names):
        sources[f"orderbook.50.{name}"] = book_frames(50, index, name)
        sources[f"orderbook.1.{name}"] = book_frames(1, index, name)
        sources[f"publicTrade.{name}"] = trade_frames(rng, name)
    first = [(topic, next(frames)) for topic, frames in sources.items() if topic.startswith("orderbook")]
    # A few symbols are much busier than the rest.
    activity = list(accumulate(1 / (10 + rank) for rank in range(symbols)))
    kinds, weights = list(SHARES), list(SHARES.values())
    drawn = zip(
        rng.choices(kinds, weights, k=messages),
        rng.choices(names, cum_weights=activity, k=messages),
        strict=True,
    )
    topics = [f"{kind}.{name}" for kind, name in drawn]
    write(folder / venue_server.FIRST_FILE, first)
    write(folder / venue_server.FRAMES_FILE, [(topic, next(sources[topic])) for topic in topics])


def write(path: Path, frames: list[tuple[str, bytes]]) -> None:
    lines = (topic.encode() + venue_server.TOPIC_SEPARATOR + frame for topic, frame in frames)
    path.write_bytes(b"\n".join(lines))


def book_frames(depth: int, seed: int, name: str) -> Iterator[bytes]:
    market = stream.Market(depth, seed, name)
    if depth == 1:
        market.seq = LEVEL_1_SEQ
    for frame, _ in market.frames():
        yield frame


def trade_frames(rng: random.Random, name: str) -> Iterator[bytes]:
    ts_ms = stream.START_TS_MS
    while True:
        ts_ms += 20
        trade_id = f"{rng.getrandbits(32):08x}-0000-5000-8000-{rng.getrandbits(48):012x}"
        yield (
            f'{{"topic":"publicTrade.{name}","type":"snapshot","ts":{ts_ms},"data":[{{"T":{ts_ms - 3},'
            f'"s":"{name}","S":"Buy","v":"0.{rng.randint(1, 999):03d}","p":"86723.40","L":"PlusTick",'
            f'"i":"{trade_id}","BT":false,"RPI":false,"seq":{stream.START_SEQ + ts_ms}}}]}}'
        ).encode()


# the measuring process


class Gaps(Listener):
    """Counts the gaps of a run; nothing may be missing on loopback."""

    def __init__(self) -> None:
        self.count = 0

    def on_gap(self, gap: object) -> None:
        self.count += 1


async def measure(spec: dict[str, Any], server: "subprocess.Popen[str]", folder: Path) -> Facts:
    """Record what the server sends, as the capture process of `tapehead record` does."""
    assert server.stdin is not None
    assert server.stdout is not None
    listener = Gaps()
    names = symbol_names(spec["symbols"])
    config = checked(
        data=folder,
        url=f"ws://127.0.0.1:{server.stdout.readline().strip()}",
        rest_url=NO_REST,
        market=[{"category": "linear", "symbols": names, "book": [50], "companion": spec["companion"]}],
    )
    capture = Capture(config, listener)
    stop = asyncio.Event()
    recording = asyncio.create_task(capture.run(stop, lambda: None, needs_network=False))
    await until(lambda: capture.feed is not None and live(capture.feed, names))
    assert capture.feed is not None
    assert capture.spool is not None
    journal = capture.spool.journal
    frames_before, writes_before = capture.feed.counters["frames_received"], journal.commits
    cpu_ns, wall_ns = time.process_time_ns(), time.perf_counter_ns()
    server.stdin.write("go\n")
    server.stdin.flush()
    told = json.loads(await asyncio.to_thread(server.stdout.readline))
    cpu_s = (time.process_time_ns() - cpu_ns) / 1e9
    wall_s = (time.perf_counter_ns() - wall_ns) / 1e9
    feed = capture.feed
    await until(lambda: feed.counters["frames_received"] - frames_before >= told["sent"])
    facts = {
        "frames_a_write": told["sent"] / (journal.commits - writes_before),
        "right": not listener.count and feed.counters["callback_failures"] == 0 and live(feed, names),
        "core_share": cpu_s / wall_s,
        "messages_per_s": told["sent"] / told["seconds"],
        "us_a_message": cpu_s / told["sent"] * 1e6,
        "connections": len(feed.connections),
    }
    stop.set()
    await recording
    return facts


def live(feed: Feed, names: list[str]) -> bool:
    books = [feed.book("linear", name, 50) for name in names]
    return all(book is not None and book.state == BookState.LIVE for book in books)


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(POLLS_MAX):
        if condition():
            return
        await asyncio.sleep(POLL_S)
    raise TimeoutError(f"nothing more came for {POLLS_MAX * POLL_S:.0f} s")


def work(spec: dict[str, Any]) -> Facts:
    sending_core, own_core = cores()
    pin(own_core)
    command = [
        sys.executable,
        "-m",
        "benchmarks.venue_server",
        spec["folder"],
        str(sending_core),
        str(spec["rate"]),
    ]
    with (
        tempfile.TemporaryDirectory(prefix="benchmark-venue-") as folder,
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
        ) as server,
    ):
        try:
            return uvloop.run(measure(spec, server, Path(folder)))
        finally:
            server.terminate()


def tables(facts: Facts) -> list[Table]:
    title = (
        f"recording {facts['symbols']} symbols (orderbook.50, publicTrade) with and without the companion "
        f"orderbook.1, which takes {facts['companion_share']['median']:.0%} of it"
    )
    columns = (
        "capture",
        "messages/s",
        "share of a core",
        "us a message",
        "frames a write",
        "connections",
        "checked",
    )
    rows = [
        (
            row["name"],
            f"{row['messages_per_s']['median']:,.0f}",
            spread_text(row["core_share"]),
            number(row["us_a_message"]["median"]),
            number(row["frames_a_write"]["median"]),
            str(row["connections"]),
            "no gap, all books live" if row["right"] else "WRONG",
        )
        for row in facts["rows"]
    ]
    return [Table(title, columns, rows)]
