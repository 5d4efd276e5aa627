"""ClickHouse's HTTP dialect over the embedded engine, with faults on order: FOLDER [PORT].

Run as a process by `tests.support.servers`. It reads orders from stdin and answers them on stdout, a JSON
object a line: ``fault`` adds a fault, ``heal`` ends all of them and lets go what they held, ``listen`` opens
or closes the port, ``counts`` tells what was asked. Unasked it tells ``{"held": table}`` when it holds one.
"""

import asyncio
import contextlib
import json
import os
import re
import signal
import socket
import struct
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import clickhouse_connect
from aiohttp import web
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import Error as DriverError

from ext.native import native_header

BODY_BYTES_MAX = 1 << 30
RESET = struct.pack("ii", 1, 0)  # SO_LINGER of 0 s: close() sends RST

INSERT = re.compile(rb"\s*INSERT INTO (\S+)(?: \(([^)]*)\))? FORMAT (\w+)\s*\n?", re.IGNORECASE)
READS = re.compile(r"\s*(?:SELECT|WITH)\b", re.IGNORECASE)
FORMAT_CLAUSE = re.compile(r"\bFORMAT\s+(\w+)\s*;?\s*$", re.IGNORECASE)
# What is part of the interface, not a setting.
NO_SETTINGS = re.compile(
    r"query|query_id|database|default_format|user|password|session_\w+|param_\w+|client_protocol_version"
    r"|compress|decompress|enable_http_compression|wait_end_of_query|send_progress_in_http_headers"
    r"|http_headers_progress_interval_ms|cancel_http_readonly_queries_on_client_close|buffer_size|quota_key|role"
)
ESCAPES = {"t": "\t", "n": "\n", "r": "\r", "0": "\0", "b": "\b", "f": "\f"}
NAMES = {
    202: "TOO_MANY_SIMULTANEOUS_QUERIES",
    241: "MEMORY_LIMIT_EXCEEDED",
    242: "TABLE_IS_READ_ONLY",
    252: "TOO_MANY_PARTS",
    516: "AUTHENTICATION_FAILED",
}


@dataclass
class Fault:
    """What is done to requests: `times` of them (-1: all) that are inserts, if so, into `table`, if given.

    `skip` come before the first, and of those after it every `every`-th is meant.
    ``hang``: no answer. ``status``: `value` alone. ``code``: ClickHouse's error `value`, nothing done.
    ``reset_request``: while the body arrives. ``reset_response``: done, and half an answer. ``lose_reply``:
    done, and no answer. ``slow``: the body is read at `value` bytes/s. ``die``: the server is killed while it
    is being done. ``hold``, ``hold_done``: told, and held before it is done, or after; dropped when let go.
    """

    kind: str
    times: int = 1
    value: int = 0
    table: str = ""
    skip: int = 0
    every: int = 1
    inserts_only: bool = True
    met: int = 0

    def takes(self, table: str | None) -> bool:
        if (table is None and self.inserts_only) or (self.table and table != self.table) or self.times == 0:
            return False
        self.met += 1
        if self.met <= self.skip or (self.met - self.skip - 1) % self.every:
            return False
        self.times -= 1
        return True


@dataclass
class Request:
    """One request, read and taken apart."""

    sql: str
    table: str | None  # of an insert with data
    columns: list[str] | None
    fmt: str
    data: bytes
    database: str
    settings: dict[str, str]
    parameters: dict[str, str]
    encoding: str | None


@dataclass
class Server:
    client: Client
    engine: ThreadPoolExecutor
    port: int = 0
    faults: list[Fault] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    bodies: dict[str, set[int]] = field(default_factory=dict)  # hashes of what came under each token
    let_go: asyncio.Event = field(default_factory=asyncio.Event)
    runner: web.AppRunner | None = None

    async def listen(self) -> None:
        app = web.Application(client_max_size=BODY_BYTES_MAX)
        app.router.add_get("/ping", self.ping)
        app.router.add_route("*", "/", self.answer)
        runner = web.AppRunner(app, access_log=None, auto_decompress=False, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", self.port, reuse_address=True)
        await site.start()
        self.port, self.runner = runner.addresses[0][1], runner

    async def refuse(self) -> None:
        if self.runner is not None:
            runner, self.runner = self.runner, None
            await runner.cleanup()

    async def ping(self, _: web.Request) -> web.Response:
        return web.Response(text="Ok.\n")

    async def answer(self, http: web.Request) -> web.StreamResponse:
        query = http.query.get("query", "")
        named = INSERT.match(query.encode())
        early = next((one for one in self.faults if one.kind in EARLY and self._is_for(one, named)), None)
        try:
            if early is not None:
                return await self._early(early, http)
            slow = next((one for one in self.faults if one.kind == "slow" and self._is_for(one, named)), None)
            body = await http.read() if slow is None else await slowly(http, slow.value)
            request = taken_apart(query, http, body)
            if request.table is not None:
                self.counts[f"insert {request.table}"] += 1
                if token := request.settings.get("insert_deduplication_token"):
                    self.bodies.setdefault(token, set()).add(hash(request.data))
            for one in self.faults:
                if one.kind not in (*EARLY, "slow") and one.takes(request.table):
                    return await self._late(one, http, request)
            return await self._run(request)
        except DriverError as error:
            return refusal(int(error.code or 1000), str(error))

    def _is_for(self, one: Fault, named: re.Match[bytes] | None) -> bool:
        return one.takes(named and named[1].decode().rpartition(".")[2])

    async def _early(self, one: Fault, http: web.Request) -> web.StreamResponse:
        """Faults that come before the body was read."""
        self.counts[one.kind] += 1
        if one.kind == "status":
            return web.Response(status=one.value, text="on order\n")
        if one.kind == "code":
            await http.read()
            return refusal(one.value, f"on order ({NAMES.get(one.value, 'ON_ORDER')})")
        if one.kind == "hang":
            await self.let_go.wait()
        if one.kind == "reset_request":
            await http.content.readany()
        return reset(http)

    async def _late(self, one: Fault, http: web.Request, request: Request) -> web.StreamResponse:
        """Faults around its execution."""
        self.counts[one.kind] += 1
        if one.kind == "die":
            self.engine.submit(self.execute, request)
            os.kill(os.getpid(), signal.SIGKILL)
        if one.kind == "hold":
            await self._hold(request)
            return reset(http)
        await self._run(request)
        if one.kind == "hold_done":
            await self._hold(request)
        if one.kind == "reset_response":
            response = web.StreamResponse(headers={"Content-Length": "1000"})
            await response.prepare(http)
            await response.write(b"half")
        return reset(http)

    async def _hold(self, request: Request) -> None:
        tell({"held": request.table})
        await self.let_go.wait()

    async def _run(self, request: Request) -> web.Response:
        body = await asyncio.get_running_loop().run_in_executor(self.engine, self.execute, request)
        headers = {"X-ClickHouse-Timezone": "UTC", "X-ClickHouse-Summary": "{}"}
        if request.fmt:
            headers["X-ClickHouse-Format"] = request.fmt
        return web.Response(body=body, headers=headers)

    def execute(self, request: Request) -> bytes:
        """Run it on the engine's thread."""
        self.client.database = request.database
        if request.table is not None:
            self.client.raw_insert(
                request.table,
                request.columns,
                request.data,
                request.settings,
                request.fmt,
                request.encoding,
            )
            return b""
        if not request.fmt:
            self.client.command(request.sql, settings=request.settings)
            return b""
        body = self.client.raw_query(
            request.sql,
            request.parameters or None,
            request.settings,
            None if in_sql(request.sql) else request.fmt,
        )
        if body or request.fmt != "Native":
            return body
        # A server sends the columns even where there are no rows.
        described = self.client.query(
            f"DESCRIBE TABLE ({without_format(request.sql)})", request.parameters or None
        )
        return native_header([(str(row[0]), str(row[1])) for row in described.result_rows])

    async def obey(self, order: dict[str, Any]) -> dict[str, Any]:
        do = order.pop("do")
        if do == "fault":
            self.faults.append(Fault(**order))
        elif do == "heal":
            self.faults.clear()
            self.let_go.set()
            self.let_go = asyncio.Event()
        elif do == "listen":
            await (self.listen() if order["on"] else self.refuse())
        elif do == "counts":
            return {
                **self.counts,
                "tokens_with_other_bytes": sum(len(one) > 1 for one in self.bodies.values()),
            }
        return {"done": do}


EARLY = ("hang", "status", "code", "reset_request")


async def slowly(http: web.Request, bytes_per_s: int) -> bytes:
    """Read a body no faster than that, so that its sender has to wait."""
    body = b""
    while piece := await http.content.readany():
        body += piece
        await asyncio.sleep(len(piece) / bytes_per_s)
    return body


def in_sql(sql: str) -> str:
    """The format that a statement names itself; "" where it does not."""
    match = FORMAT_CLAUSE.search(sql)
    return match[1] if match else ""


def without_format(sql: str) -> str:
    return FORMAT_CLAUSE.sub("", sql)


def taken_apart(query: str, http: web.Request, body: bytes) -> Request:
    text = query.encode() + (b"\n" + body if query and body and not INSERT.match(query.encode()) else b"")
    data = body
    if not query:
        text = body
    match = INSERT.match(text)
    if match and not query:
        data = body[match.end() :]
    sql = text.decode() if match is None else query
    default = http.headers.get("X-ClickHouse-Format") or http.query.get("default_format") or "TabSeparated"
    fmt = match[3].decode() if match else ((in_sql(sql) or default) if READS.match(sql) else "")
    return Request(
        sql=sql,
        table=match[1].decode().rpartition(".")[2] if match else None,
        columns=[name.strip(" `") for name in match[2].decode().split(",")] if match and match[2] else None,
        fmt=fmt,
        data=data,
        database=http.query.get("database", "") or "default",
        settings={name: value for name, value in http.query.items() if not NO_SETTINGS.fullmatch(name)},
        parameters=parameters_of(http.query),
        encoding=http.headers.get("Content-Encoding"),
    )


def parameters_of(query: Mapping[str, str]) -> dict[str, str]:
    return {
        name.removeprefix("param_"): re.sub(r"\\(.)", lambda found: ESCAPES.get(found[1], found[1]), value)
        for name, value in query.items()
        if name.startswith("param_")
    }


def refusal(code: int, text: str) -> web.Response:
    message = text if "Code:" in text else f"Code: {code}. DB::Exception: {text}"
    headers = {"X-ClickHouse-Exception-Code": str(code)}
    return web.Response(status=403 if code == 516 else 500, text=message + "\n", headers=headers)


def reset(http: web.Request) -> web.Response:
    """End the connection with RST, whatever was sent on it."""
    if http.transport is not None:
        raw: socket.socket = http.transport.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        http.transport.abort()
    return web.Response()


def tell(said: dict[str, Any]) -> None:
    os.write(ANSWERS, json.dumps(said).encode() + b"\n")


async def serve(folder: Path, port: int) -> None:
    client = clickhouse_connect.get_client(interface="chdb", path=str(folder / "data"))
    server = Server(client, ThreadPoolExecutor(1, "engine"), port)
    await server.listen()
    tell({"port": server.port})
    orders = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(orders), sys.stdin
    )
    while line := await orders.readline():
        tell(await server.obey(json.loads(line)))
    server.let_go.set()
    await server.refuse()
    client.close()


if __name__ == "__main__":
    ANSWERS = os.dup(1)  # the engine prints what it likes
    os.dup2(2, 1)
    place = Path(sys.argv[1])
    (place / "tmp").mkdir(parents=True, exist_ok=True)
    tempfile.tempdir = str(place / "tmp")
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(place, int(sys.argv[2]) if len(sys.argv) > 2 else 0))
