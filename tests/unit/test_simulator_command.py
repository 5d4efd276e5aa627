"""`python -m simulator` as a process."""

import asyncio
import json
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from simulator.command import main
from simulator.exchange.faults import FAULTS
from simulator.faults import KINDS

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT_S = 30


def command(*options: str) -> list[str]:
    return [sys.executable, "-m", "simulator", *options]


def exit_code(*options: str) -> int:
    """Run the command in this process."""
    try:
        return main(list(options))
    except SystemExit as error:
        return int(str(error.code))


def test_serves_to_the_end_of_the_data_and_stops_at_a_signal(tmp_path: Path) -> None:
    log = tmp_path / "sent.log"

    async def scenario() -> list[str]:
        options = ("--symbols", "linear:BTCUSDT", "--rate", "max", "--messages", "50", "--log", str(log))
        process = await asyncio.create_subprocess_exec(*command(*options), cwd=ROOT, stdout=subprocess.PIPE)
        assert process.stdout is not None
        try:
            ready = json.loads(await process.stdout.readline())
            async with (
                aiohttp.ClientSession() as http,
                http.ws_connect(ready["ws"] + "/v5/public/linear") as client,
            ):
                await client.send_str('{"op":"subscribe","args":["orderbook.50.BTCUSDT"]}')
                done = json.loads(await process.stdout.readline())
                assert done == {"done": True, "frames": 51, "data_frames": 50}
                assert len(log.read_bytes().splitlines()) == 51, "the log is flushed before the end is told"
                received = [(await client.receive()).data for _ in range(51)]
                await client.send_str('{"op":"ping"}')
                received.append((await client.receive()).data)
                async with http.get(ready["rest"] + "/simulator/state") as response:
                    assert (await response.json())["data_frames"] == 50
        finally:
            process.send_signal(signal.SIGTERM)
            assert await process.wait() == 0
        return received

    received = asyncio.run(asyncio.wait_for(scenario(), TIMEOUT_S))
    lines = log.read_text().splitlines()
    assert [line.split(" ", 2)[2] for line in lines] == received


def test_a_script_of_faults_and_the_log_of_what_happened(tmp_path: Path) -> None:
    log, script = tmp_path / "sent.log", tmp_path / "faults.toml"
    script.write_text('[[faults]]\nfault = "drop"\nframe = 3\n[[faults]]\nfault = "close_1011"\nframe = 9\n')

    async def scenario() -> tuple[list[dict[str, Any]], int]:
        options = ("--symbols", "linear:BTCUSDT", "--rate", "500", "--faults", str(script), "--log", str(log))
        process = await asyncio.create_subprocess_exec(*command(*options), cwd=ROOT, stdout=subprocess.PIPE)
        assert process.stdout is not None
        try:
            url = json.loads(await process.stdout.readline())["ws"] + "/v5/public/linear"
            async with aiohttp.ClientSession() as http, http.ws_connect(url) as client:
                await client.send_str('{"op":"subscribe","args":["orderbook.50.BTCUSDT"]}')
                received = []
                while (message := await client.receive()).type == aiohttp.WSMsgType.TEXT:
                    received.append(json.loads(message.data))
                return received[1:], message.data
        finally:
            process.send_signal(signal.SIGTERM)
            assert await process.wait() == 0

    received, code = asyncio.run(asyncio.wait_for(scenario(), TIMEOUT_S))
    first = received[0]["data"]["u"]
    assert code == 1011
    assert [message["data"]["u"] - first for message in received] == [0, 1, 3, 4, 5, 6, 7, 8]
    lines = [line.split(" ", 2) for line in log.read_text().splitlines()]
    fired = [json.loads(text.removeprefix("# ")) for _, _, text in lines if text.startswith("# ")]
    assert [(one["fault"], one["frame"], one["u"] - first) for one in fired] == [
        ("drop", 3, 2),
        ("close_1011", 9, 8),
    ]
    assert len(lines) == 1 + len(received) + len(fired)


def test_the_faults_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code("--list-faults") == 0
    assert len(capsys.readouterr().out.splitlines()) == len(KINDS) + len(FAULTS)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--host", "0.0.0.0"], "loopback only"),
        (["--faults", "/no/such/file.json"], "it cannot be read"),
        (["--symbols", "moon:BTCUSDT"], "use linear, inverse, spot, option, spread"),
        (["--symbols", "linear:btcusdt"], "capital letters"),
        (["--symbols", "linear:BTCUSDT,linear:BTCUSDT"], "named twice"),
        (["--switch", "moon=1"], "see --list-switches"),
        (["--switch", "snapshot_order=never"], "it takes after or before"),
        (["--playback", "/nowhere/at/all"], "no such file"),
        (["--rate", "0"], "argument --rate"),
        (["--speed", "-1"], "argument --speed"),
        (["--port", "70000"], "argument --port: was '70000'; a port is 0 to 65535"),
        (["--bogus"], "--bogus: see --help"),
    ],
)
def test_wrong_options_are_told_in_a_line(
    options: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code(*options) == 2
    out, err = capsys.readouterr()
    assert told in err
    assert (out, err.count("\n")) == ("", 1)


def test_a_taken_port_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert exit_code("--port", str(port)) == 3
    told = f"simulator: port {port} is taken; name another with --port, or 0 for any free one\n"
    assert capsys.readouterr() == ("", told)


def test_a_log_that_cannot_be_written_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "none" / "sent.log"
    assert exit_code("--log", str(path)) == 3
    assert capsys.readouterr().err == f"simulator: {path}: No such file or directory: name another\n"


def test_list_switches(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code("--list-switches") == 0
    assert "snapshot_order=after  (or before)" in capsys.readouterr().out
