"""SQL over HTTP on loopback while recording, in ClickHouse's dialect: its clients, curl and Grafana work.

Runs in a thread of its own with its own event loop and its own connections to the engine; what may run is
decided in `admission`, and the connections are read-only and limited besides.
"""

import asyncio
import contextlib
import json
import re
import threading
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, Self

from aiohttp import web

from ext.native import native_header
from recorder.database.clickhouse import Database, DatabaseError, FolderError, open_embedded, open_server
from recorder.folder import DataFolder
from recorder.queries.admission import QUERY_CHARACTERS_MAX, Admission, RefusedError, admit
from recorder.spool.lock import FolderInUseError

__all__ = [
    "ADDRESS_FILE",
    "QueryServer",
    "forget_address",
    "open_for_reading",
    "outward_functions",
    "read_address",
]

ADDRESS_FILE: Final = "sql.address"

CONCURRENT_MAX: Final = 2
WAITING_MAX: Final = 16
START_TIMEOUT_S: Final = 30
ANSWER_TIMEOUT_S: Final = 5
KILL_AGAIN_S: Final = 0.5
# What one query may take. All of them together leave the loader more than half of the engine's memory, and
# one thread each leaves it the processor: what is inserted waits for none of them.
LIMITS: Final[dict[str, int | str]] = {
    "max_memory_usage": 768 << 20,
    "max_execution_time": 60,
    "max_result_rows": 20_000_000,
    "max_result_bytes": 256 << 20,
    "max_temporary_data_on_disk_size_for_query": 1 << 30,
    "max_threads": 1,
}

# Parameters of ClickHouse's HTTP interface that clients send by themselves and that change nothing here.
_PARAMETERS_IGNORED: Final = frozenset(
    (
        "buffer_size",
        "client_protocol_version",
        "compress",
        "enable_http_compression",
        "http_headers_progress_interval_ms",
        "max_execution_time",
        "password",
        "query_id",
        "quota_key",
        "readonly",
        "role",
        "send_progress_in_http_headers",
        "session_check",
        "session_id",
        "session_timeout",
        "user",
        "wait_end_of_query",
    )
)
_FORMAT: Final = re.compile(r"[A-Za-z0-9]+\Z")
_PARAMETER_USED: Final = re.compile(r"\{\s*\w+\s*:")
_ESCAPES: Final = {
    "\\t": "\t",
    "\\n": "\n",
    "\\\\": "\\",
    "\\'": "'",
    "\\r": "\r",
    "\\b": "\b",
    "\\f": "\f",
    "\\0": "\0",
}

_CODE_READONLY: Final = 164
_CODE_SYNTAX: Final = 62
_CODE_UNKNOWN_DATABASE: Final = 81
_CODE_TOO_MANY: Final = 202
_STATUS_OF_CODE: Final = {
    _CODE_READONLY: 403,
    _CODE_SYNTAX: 400,
    _CODE_UNKNOWN_DATABASE: 404,
    _CODE_TOO_MANY: 503,
    60: 404,
}


class _QueryError(Exception):
    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class _Reader:
    """A connection that answers one query at a time; `is_left` is set where nobody waits for it any more."""

    def __init__(self, database: Database, number: int) -> None:
        self.name = f"sql-{number}"
        self.database = database.reader({**LIMITS, "log_comment": f"'{self.name}'"})
        self.is_left = asyncio.Event()


class QueryServer:
    """Answers SQL on 127.0.0.1 from `start` until `close`; the address is then in the data folder.

    Args:
        database: the open embedded database.
        data: the data folder, where `sql.address` is written.
        port: 0 for any free one.
    """

    def __init__(self, database: Database, data: Path, port: int = 0) -> None:
        self._readers = [_Reader(database, number) for number in range(CONCURRENT_MAX)]
        self._control = database.reader()
        self._name = database.name
        self._version = database.version
        self._data = data
        self._port = port
        self._outward = outward_functions(self._control)
        self._pool = ThreadPoolExecutor(CONCURRENT_MAX, "sql")
        self._control_pool = ThreadPoolExecutor(1, "sql-control")
        self._thread = threading.Thread(target=self._run, name="sql", daemon=True)
        self._started = threading.Event()
        self._failure: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._free: asyncio.Queue[_Reader] = asyncio.Queue()
        self._tasks: set[asyncio.Task[bytes]] = set()
        self._waiting = 0
        self.address = ""
        self.counters = {"queries": 0, "refused": 0, "failed": 0, "left": 0}

    def start(self) -> Self:
        """Begin to answer.

        Raises:
            OSError: the port is taken.
        """
        self._thread.start()
        if not self._started.wait(START_TIMEOUT_S):
            raise TimeoutError(f"the SQL endpoint did not start within {START_TIMEOUT_S} s")
        if self._failure is not None:
            self.close()
            raise self._failure
        return self

    def close(self) -> None:
        """Stop answering; running queries are cancelled. May be repeated."""
        if self._loop is not None and self._stop is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended already
                self._loop.call_soon_threadsafe(self._stop.set)
        if self._thread.ident is not None:
            self._thread.join()
        self._pool.shutdown()
        self._control_pool.shutdown()
        for reader in self._readers:
            reader.database.close()
        if self._readers:
            self._control.close()
        self._readers = []
        forget_address(self._data)

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:  # noqa: BLE001  # handed to the starting thread
            self._failure = error
        finally:
            self._started.set()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        for reader in self._readers:
            self._free.put_nowait(reader)
        app = web.Application(client_max_size=4 * QUERY_CHARACTERS_MAX, middlewares=[self._guard])
        app.router.add_get("/ping", self._ping)
        app.router.add_get("/replicas_status", self._ping)
        app.router.add_get("/", self._query)
        app.router.add_post("/", self._query)
        runner = web.AppRunner(app, access_log=None, handler_cancellation=True)
        await runner.setup()
        try:
            site = web.TCPSite(runner, "127.0.0.1", self._port)
            await site.start()
            self._port = runner.addresses[0][1]
            self.address = f"http://127.0.0.1:{self._port}"
            self._write_address()
            self._started.set()
            await self._stop.wait()
        finally:
            for reader in self._readers:
                reader.is_left.set()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await runner.cleanup()

    def _write_address(self) -> None:
        address_file = self._data / ADDRESS_FILE
        fresh = address_file.with_suffix(".new")
        fresh.write_text(self.address + "\n")
        fresh.replace(address_file)

    @web.middleware
    async def _guard(self, request: web.Request, handler: Any) -> web.StreamResponse:
        # A web page reaches loopback under a name of its own: only names of this machine are answered.
        host = request.headers.get("Host", "")
        if host.rpartition(":")[0].strip("[]") not in ("127.0.0.1", "localhost", "::1"):
            return web.Response(status=403, text=f"Host was {host!r}; use 127.0.0.1:{self._port}\n")
        response: web.StreamResponse = await handler(request)
        return response

    async def _ping(self, _: web.Request) -> web.Response:
        return web.Response(text="Ok.\n")

    async def _query(self, request: web.Request) -> web.Response:
        self.counters["queries"] += 1
        try:
            text = "\n".join(
                part for part in (request.query.get("query", ""), await _body(request)) if part.strip()
            )
            if not text:
                return web.Response(text="Ok.\n")
            parameters = self._parameters(request)
            admission = admit(text, self._outward)
            chosen = admission.format or self._format(request)
            body = await self._execute(admission, parameters, chosen)
        except RefusedError as error:
            self.counters["refused"] += 1
            return self._error(_CODE_READONLY, str(error))
        except _QueryError as error:
            self.counters["refused"] += 1
            return self._error(error.code, str(error))
        except DatabaseError as error:
            self.counters["failed"] += 1
            return self._error(error.code or 1000, error.problem)
        return web.Response(body=body, headers=self._headers(chosen), content_type=_content_type(chosen))

    def _parameters(self, request: web.Request) -> dict[str, str]:
        """Query parameters; refuses settings and other databases."""
        parameters: dict[str, str] = {}
        for key, value in request.query.items():
            if key.startswith("param_"):
                parameters[key.removeprefix("param_")] = re.sub(
                    r"\\.", lambda match: _ESCAPES.get(match.group(), match.group()), value
                )
            elif key == "database":
                if value not in ("", "default", self._name):
                    raise _QueryError(
                        _CODE_UNKNOWN_DATABASE, f"database was {value!r}; here it is {self._name}"
                    )
            elif key not in ("query", "default_format") and key not in _PARAMETERS_IGNORED:
                raise _QueryError(_CODE_READONLY, f"setting {key} cannot be changed while recording")
        return parameters

    def _format(self, request: web.Request) -> str:
        chosen = (
            request.headers.get("X-ClickHouse-Format")
            or request.query.get("default_format")
            or "TabSeparated"
        )
        if not _FORMAT.match(chosen):
            raise _QueryError(_CODE_SYNTAX, f"format was {chosen!r}; a format is a word such as JSONEachRow")
        return chosen

    async def _execute(self, admission: Admission, parameters: dict[str, str], fmt: str) -> bytes:
        if self._waiting >= WAITING_MAX:
            raise _QueryError(_CODE_TOO_MANY, f"{self._waiting} queries are waiting; try again later")
        self._waiting += 1
        try:
            reader = await self._free.get()
        finally:
            self._waiting -= 1
        bound = parameters if _PARAMETER_USED.search(admission.sql) else None
        task = asyncio.create_task(self._work(reader, admission, bound, fmt))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            self.counters["left"] += 1
            reader.is_left.set()
            task.add_done_callback(lambda done: done.exception())  # which nobody else will ask for
            raise

    async def _work(
        self, reader: _Reader, admission: Admission, parameters: dict[str, str] | None, fmt: str
    ) -> bytes:
        """Run a query, or kill it where its client has gone; its connection is free once it is at rest."""
        loop = asyncio.get_running_loop()
        running = loop.run_in_executor(self._pool, _answer, reader.database, admission, parameters, fmt)
        left = asyncio.create_task(reader.is_left.wait())
        await asyncio.wait((running, left), return_when=asyncio.FIRST_COMPLETED)
        left.cancel()
        while not running.done():
            await loop.run_in_executor(self._control_pool, self._kill, reader.name)
            await asyncio.wait((running,), timeout=KILL_AGAIN_S)
        if self._stop is not None and not self._stop.is_set():
            reader.is_left.clear()
        self._free.put_nowait(reader)
        return running.result()

    def _kill(self, name: str) -> None:
        with contextlib.suppress(DatabaseError):  # then it ends by its limits
            self._control.command(f"KILL QUERY WHERE Settings['log_comment'] = '{name}' ASYNC")

    def _headers(self, fmt: str) -> dict[str, str]:
        return {
            "X-ClickHouse-Format": fmt,
            "X-ClickHouse-Timezone": "UTC",
            "X-ClickHouse-Server-Display-Name": "tapehead",
            "X-ClickHouse-Summary": json.dumps({"read_rows": "0", "read_bytes": "0"}),
        }

    def _error(self, code: int, message: str) -> web.Response:
        _, found, rest = message.partition("Code: ")
        text = found + rest if found else f"Code: {code}. DB::Exception: {message}"
        headers = {"X-ClickHouse-Exception-Code": str(code)}
        return web.Response(status=_STATUS_OF_CODE.get(code, 500), text=text + "\n", headers=headers)


async def _body(request: web.Request) -> str:
    try:
        return (await request.read()).decode()
    except UnicodeDecodeError:
        raise _QueryError(_CODE_SYNTAX, "the body is not UTF-8; send it as plain text, or gzip") from None


def _answer(reader: Database, admission: Admission, parameters: dict[str, str] | None, fmt: str) -> bytes:
    body = reader.raw_query(admission.sql, parameters, fmt)
    if body or fmt != "Native" or not admission.has_columns:
        return body
    # A server sends the columns even where there are no rows, and clients count on that.
    described = reader.query(f"DESCRIBE TABLE ({admission.sql})", parameters)
    return native_header([(str(row[0]), str(row[1])) for row in described])


def outward_functions(reader: Database) -> frozenset[str]:
    """Names of the engine's functions that may reach outside the tables, for `admit`."""
    return frozenset(name for (name,) in reader.query(_OUTWARD_FUNCTIONS))


_OUTWARD_FUNCTIONS: Final = """
SELECT name FROM system.table_functions
UNION ALL
SELECT name FROM system.functions WHERE match(name, '^ai[A-Z]')
"""


def _content_type(fmt: str) -> str:
    if fmt.startswith("JSON"):
        return "application/json"
    return (
        "text/plain"
        if fmt.startswith(("Tab", "TSV", "CSV", "Pretty", "Vertical"))
        else "application/octet-stream"
    )


def read_address(data: Path) -> str | None:
    """The address of the SQL endpoint of the recorder that runs on a data folder; None where none runs."""
    try:
        return (data / ADDRESS_FILE).read_text().strip() or None
    except FileNotFoundError:
        return None


def forget_address(data: Path) -> None:
    """Remove the address that a killed recorder left: by now its port may answer for another recording.

    Only for the process that has the database folder.
    """
    (data / ADDRESS_FILE).unlink(missing_ok=True)


def open_for_reading(data: Path, server: str = "") -> Database:
    """Connect to the database of a data folder: through its recorder while one runs, else directly.

    Args:
        data: the data folder.
        server: http(s) URL of a server; by default the one that is recorded into, if there is one.

    Raises:
        FolderError: no database is there.
        FolderInUseError: another process has it, and does not answer SQL (yet).
        DatabaseError: the server does not answer.
    """
    if server := server or DataFolder(data).server:
        return open_server(server, create=False)
    folder = data / "clickhouse"
    if not folder.is_dir():
        problem = f"{data} holds no recording: there is no folder {folder}"
        remedy = "give --data of `tapehead record` or `tapehead import`, or try `tapehead demo`"
        raise FolderError(problem, remedy)
    try:
        database = open_embedded(folder)
    except (FolderInUseError, PermissionError):
        address = read_address(data)
        if address is None:
            raise
        _check_answers(address)
        return open_server(address, create=False)
    forget_address(data)
    return database


def _check_answers(address: str) -> None:
    """Raise DatabaseError where a recorder takes connections and says nothing: its process is stopped."""
    try:
        with urllib.request.urlopen(f"{address}/ping", timeout=ANSWER_TIMEOUT_S):  # noqa: S310  # ours, http
            return
    except OSError as error:
        raise DatabaseError(
            f"the recorder that has the database does not answer at {address} within {ANSWER_TIMEOUT_S} s"
            f" ({error})",
            remedy="look whether its loader is stopped (`ps`, state T: `kill -CONT` lets it go on) or hangs"
            " (end it: the supervisor starts another one)",
        ) from None
