"""A ClickHouse server for tests: `tests.support.clickhouse_server` as a process, ordered about."""

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ext.block import Block
from recorder.database.clickhouse import Database
from tests.support.recordings import ROOT, TIMEOUT_S
from tests.support.waiting import is_readable

PAUSES_MAX = 500


class ClickHouse:
    """A running server; ``url`` stays the same when it is started again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._unread = b""
        self._process: subprocess.Popen[bytes] | None = None
        self.held: list[str] = []
        self.port = 0
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it, again on its port if it was killed."""
        command = [sys.executable, "-m", "tests.support.clickhouse_server", str(self._folder), str(self.port)]
        self._unread = b""
        self._process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.port = self._next()["port"]

    def fault(self, kind: str, **how: Any) -> None:
        """Order a fault: `clickhouse_server.Fault`."""
        self._order(do="fault", kind=kind, **how)

    def heal(self) -> None:
        """No more faults; what was held or hung is let go and dropped."""
        self._order(do="heal")

    def listen(self, *, on: bool) -> None:
        """Take connections, or refuse them."""
        self._order(do="listen", on=on)

    def counts(self) -> dict[str, int]:
        """How often each thing happened."""
        return self._order(do="counts")

    def wait_held(self) -> str:
        """Wait until an insert is held; return its table."""
        while not self.held:
            said = self._next()
            self.held.append(said["held"])
        return self.held.pop()

    def wait_dead(self) -> None:
        """Wait until it has been killed."""
        assert self._process is not None
        self._process.wait(TIMEOUT_S)
        self._close_pipes()

    def stop(self) -> None:
        """End it."""
        assert self._process is not None
        if self._process.poll() is None:
            self._process.kill()
        self.wait_dead()

    def _close_pipes(self) -> None:
        assert self._process is not None
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()

    def _order(self, **order: Any) -> dict[str, Any]:
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        self._process.stdin.flush()
        while "held" in (said := self._next()):
            self.held.append(said["held"])
        return said

    def _next(self) -> dict[str, Any]:
        assert self._process is not None
        assert self._process.stdout is not None
        while b"\n" not in self._unread:
            ready = is_readable(self._process.stdout, TIMEOUT_S)
            assert ready, f"the server said nothing for {TIMEOUT_S} s"
            more = self._process.stdout.read1(1 << 16)  # type: ignore[attr-defined]  # a BufferedReader
            assert more, f"the server ended: {self._process.wait()}"
            self._unread += more
        line, _, self._unread = self._unread.partition(b"\n")
        said: dict[str, Any] = json.loads(line)
        return said


@contextmanager
def clickhouse(folder: Path) -> Iterator[ClickHouse]:
    """Run a server whose data lies in ``folder``."""
    server = ClickHouse(folder)
    try:
        yield server
    finally:
        server.stop()


class Pauses(threading.Event):
    """A `stop` for a loader whose waiting takes no time; in the n-th pause (from 1) ``acts[n]`` is done."""

    def __init__(
        self, acts: Mapping[int, Callable[[], object]] | None = None, most: int = PAUSES_MAX
    ) -> None:
        super().__init__()
        self._most = most
        self.taken: list[float] = []
        self._acts = dict(acts or {})

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout is not None
        assert len(self.taken) < self._most, "it is tried again without end"
        self.taken.append(timeout)
        if act := self._acts.get(len(self.taken)):
            act()
        return self.is_set()


class Acting:
    """Passes everything on to a database; before the insert with that number (from 0) something is done."""

    def __init__(self, database: Database, acts: Mapping[int, Callable[[], object]]) -> None:
        self._database = database
        self._acts = dict(acts)
        self._inserts = 0

    def insert(self, table: str, block: bytes | Block, token: str) -> None:
        if act := self._acts.get(self._inserts):
            act()
        self._inserts += 1
        self._database.insert(table, block, token)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)
