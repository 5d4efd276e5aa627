"""The control socket: who may open it, what it answers, what it refuses."""

import asyncio
import json
import stat
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from engine.errors import InternalError, TapeheadError, UsageError
from recorder.errors import MachineError
from recorder.folder import DataFolder
from recorder.recording.control import ASK_BYTES_MAX, CLIENTS_MAX, ControlServer, ask

TIMEOUT_S = 30


async def echo(asked: dict[str, Any]) -> dict[str, Any]:
    """Answer with what was asked; some asks fail."""
    errors: dict[str, Exception] = {
        "usage": UsageError("symbol was 'X'", "use 'Y'"),
        "machine": MachineError("no room", "make some"),
        "fault": RuntimeError("broken"),
    }
    if asked["do"] in errors:
        raise errors[asked["do"]]
    return {"asked": asked}


def serving(folder: DataFolder, work: Callable[[], Awaitable[None]]) -> None:
    async def run() -> None:
        async with asyncio.timeout(TIMEOUT_S), ControlServer(folder.control, echo):
            await work()

    asyncio.run(run())


def talk(folder: DataFolder, data: bytes) -> list[Any]:
    """Send bytes, and return the lines that are answered before the server lets go."""
    answers: list[Any] = []

    async def work() -> None:
        reader, writer = await asyncio.open_unix_connection(str(folder.control), limit=1 << 22)
        writer.write(data)
        writer.write_eof()
        while line := await reader.readline():
            answers.append(json.loads(line))
        writer.close()

    serving(folder, work)
    return answers


@pytest.fixture
def folder(tmp_path: Path) -> DataFolder:
    return DataFolder(tmp_path)


def test_each_line_gets_one_answer(folder: DataFolder) -> None:
    first, second = talk(folder, b'{"do": "one"}\n{"do": "two", "more": [1]}\n')
    assert first == {"asked": {"do": "one"}}
    assert second == {"asked": {"do": "two", "more": [1]}}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"\n", "no JSON"),
        (b"{\n", "no JSON"),
        (b"\xff\xfe\n", "no JSON"),
        (b"[]\n", 'no text "do"'),
        (b"{}\n", 'no text "do"'),
        (b'{"do": 1}\n', 'no text "do"'),
    ],
)
def test_what_is_no_ask_is_answered_with_its_remedy(folder: DataFolder, line: bytes, message: str) -> None:
    refused, answered = talk(folder, line + b'{"do": "one"}\n')
    assert message in refused["error"]
    assert refused["remedy"]
    assert refused["exit_code"] == 2
    assert answered == {"asked": {"do": "one"}}


def test_a_line_without_end_is_bounded(folder: DataFolder) -> None:
    (answer,) = talk(folder, b"x" * (ASK_BYTES_MAX + 2))
    assert f"at most {ASK_BYTES_MAX} bytes" in answer["error"]


def test_the_socket_is_for_its_user_alone_and_goes_with_its_server(folder: DataFolder) -> None:
    folder.control.write_text("left behind")

    async def work() -> None:
        mode = folder.control.stat().st_mode
        assert stat.S_ISSOCK(mode)
        assert stat.S_IMODE(mode) == 0o600

    serving(folder, work)
    assert not folder.control.exists()


@pytest.mark.parametrize(
    ("do", "kind", "message"),
    [
        ("usage", UsageError, "symbol was 'X': use 'Y'"),
        ("machine", MachineError, "no room: make some"),
        ("fault", InternalError, "RuntimeError: broken"),
    ],
)
def test_an_error_reaches_the_asker_as_what_it_is(
    folder: DataFolder, do: str, kind: type[TapeheadError], message: str
) -> None:
    async def work() -> None:
        assert await asyncio.to_thread(ask, folder, {"do": "one"}) == {"asked": {"do": "one"}}
        with pytest.raises(kind, match=message):
            await asyncio.to_thread(ask, folder, {"do": do})

    serving(folder, work)


def test_a_folder_with_a_long_name_can_be_asked(tmp_path: Path) -> None:
    long = tmp_path / ("long" * 30) / ("name" * 30)
    long.mkdir(parents=True)

    async def work() -> None:
        assert await asyncio.to_thread(ask, DataFolder(long), {"do": "one"}) == {"asked": {"do": "one"}}

    serving(DataFolder(long), work)


def test_without_a_recording_it_says_so(folder: DataFolder) -> None:
    with pytest.raises(MachineError, match=f"nothing records into {folder.path}"):
        ask(folder, {"do": "status"})
    with pytest.raises(MachineError, match="nothing records into"):
        ask(DataFolder(folder.path / "absent" / ("x" * 100)), {"do": "status"})


def test_what_is_too_long_is_refused_before_it_is_sent(folder: DataFolder) -> None:
    with pytest.raises(UsageError, match="at most"):
        ask(folder, {"do": "add", "symbols": ["x" * ASK_BYTES_MAX]})


def test_so_many_at_once(folder: DataFolder) -> None:
    async def work() -> None:
        held = [await asyncio.open_unix_connection(str(folder.control)) for _ in range(CLIENTS_MAX)]
        for reader, writer in held:  # each is served by now
            writer.write(b'{"do": "one"}\n')
            await reader.readline()
        with pytest.raises(MachineError, match="others ask at this moment"):
            await asyncio.to_thread(ask, folder, {"do": "one"})
        for _, writer in held:
            writer.close()

    serving(folder, work)
