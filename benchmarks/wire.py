"""What does the receiving process pay from the socket to the book?"""

import asyncio
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import uvloop
from picows import WSMsgType, ws_connect

from benchmarks import native, receivers, stream
from benchmarks.harness import ROOT, Facts, Options, Spread, cores, goal, machine, pin, ratio, spawn, versions
from benchmarks.report import Table, number, spread_text

ROUNDS: Final = 5
MESSAGES: Final = 200_000
DEPTH: Final = 50
LEVELS_CHECKED: Final = 25
# A slow reader would otherwise let the kernel's buffer grow to megabytes, and its reads with it.
RECEIVE_BUFFER_BYTES: Final = 128 * 1024
RECEIVE_S_MAX: Final = 300
REFERENCE: Final = "picows_orjson"
GOALS: Final = (("tapehead", 0.40, "wire to book / picows + orjson.loads decode only"),)


def run(options: Options) -> Facts:
    rounds = options.rounds or (1 if options.quick else ROUNDS)
    messages = options.messages or (2_000 if options.quick else MESSAGES)
    conditions = machine()
    native.build()
    taken: dict[str, list[Facts]] = {name: [] for name in receivers.NAMES}
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        given = stream.generate(DEPTH, messages)
        stream.save(given, Path(folder))
        for _ in range(rounds):
            for name, facts in taken.items():
                facts.append(spawn("wire", {"receiver": name, "stream": folder}))
    seconds = {name: [facts["cpu_s_per_million"] for facts in rounds_] for name, rounds_ in taken.items()}
    return {
        "benchmark": "wire",
        "machine": conditions,
        "versions": versions([library for name in taken for library in receivers.find(name).libraries]),
        "rounds": rounds,
        "depth": DEPTH,
        "messages": messages,
        "frame_bytes_mean": given.frame_bytes_mean,
        "receivers": [
            {
                "name": name,
                "title": receivers.find(name).title,
                "keeps_book": receivers.find(name).keeps_book,
                "right": all(facts["right"] for facts in taken[name]),
                "cpu_s_per_million": Spread.of(seconds[name]).facts(),
                "messages_per_wall_s": Spread.of(
                    [facts["messages_per_wall_s"] for facts in taken[name]]
                ).facts(),
                "times_orjson": ratio(seconds[name], seconds[REFERENCE]).facts(),
            }
            for name in taken
        ],
        "goals": [
            goal(text, ratio(seconds[name], seconds[REFERENCE]).median, limit, at_most=True)
            for name, limit, text in GOALS
        ],
    }


def capped_socket(url: str) -> socket.socket:
    """Connect with a bounded receive buffer; it must be set before the connection is made."""
    parts = urlsplit(url)
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
    connection.connect((parts.hostname, parts.port))
    connection.setblocking(False)
    return connection


async def receive(receiver: receivers.Receiver, port: int) -> tuple[float, float]:
    """Connect, ask for the stream, take it until the sender closes; return (CPU, wall) seconds of that."""
    url = f"ws://127.0.0.1:{port}/v5/public/linear"
    connection = capped_socket(url)
    transport, _ = await ws_connect(receiver.listener, url, socket_factory=lambda *_: connection)
    wall_ns, cpu_ns = time.perf_counter_ns(), time.process_time_ns()
    transport.send(WSMsgType.TEXT, b"{}")
    async with asyncio.timeout(RECEIVE_S_MAX):
        await transport.wait_disconnected()
    return (time.process_time_ns() - cpu_ns) / 1e9, (time.perf_counter_ns() - wall_ns) / 1e9


def work(spec: dict[str, Any]) -> Facts:
    sending_core, own_core = cores()
    pin(own_core)
    given = stream.load(Path(spec["stream"]))
    with tempfile.TemporaryDirectory(prefix="benchmark-receiver-") as folder:
        receiver = receivers.find(spec["receiver"])(given.depth, Path(folder))
        command = [sys.executable, "-m", "benchmarks.sender", spec["stream"], str(sending_core)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT) as sender:
            assert sender.stdout is not None
            cpu_s, wall_s = uvloop.run(receive(receiver, int(sender.stdout.readline())))
        receiver.close()
        right = sender.returncode == 0 and receiver.frames() == len(given.frames)
        if receiver.keeps_book:
            bids, asks = receiver.levels(LEVELS_CHECKED)
            right = right and (bids, asks) == (
                given.levels[0][:LEVELS_CHECKED],
                given.levels[1][:LEVELS_CHECKED],
            )
    return {
        "right": right,
        "cpu_s_per_million": cpu_s / len(given.frames) * 1e6,
        "messages_per_wall_s": len(given.frames) / wall_s,
    }


def tables(facts: Facts) -> list[Table]:
    title = (
        f"loopback websocket, {facts['messages']:,} messages of orderbook.{facts['depth']}, "
        f"{facts['frame_bytes_mean']:.0f} bytes each"
    )
    columns = ("receiver", "CPU-s per million", "x picows + orjson", "messages/s", "checked")
    rows = [
        (
            row["title"],
            spread_text(row["cpu_s_per_million"]),
            number(row["times_orjson"]["median"]),
            f"{row['messages_per_wall_s']['median']:,.0f}",
            verdict(row),
        )
        for row in facts["receivers"]
    ]
    return [Table(title, columns, rows)]


def verdict(row: Facts) -> str:
    if not row["right"]:
        return "WRONG"
    return "frames and book" if row["keeps_book"] else "frames"
