"""`kill -9` of a loader process between two inserts into a server, each pair of them: each row once."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from recorder.verify import verify
from tests.support.recordings import ROOT, TIMEOUT_S
from tests.support.servers import ClickHouse, clickhouse
from tests.support.sinks import contents, load, make_spool, open_fresh

# One batch of this spool goes into all of these, in this order, and then its mark.
LOADER = """
import sys
from pathlib import Path
from recorder.database.clickhouse import open_server
from recorder.loading.loader import Loader
folder = Path(sys.argv[1])
with open_server(sys.argv[2], sys.argv[3]) as database:
    loader = Loader(folder / "spool", database, "r1", folder)
    loader.recover()
    loader.drain()
    loader.close()
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouse]:
    with clickhouse(tmp_path_factory.mktemp("server")) as running:
        yield running


@contextmanager
def loading(folder: Path, server: ClickHouse, name: str) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-c", LOADER, str(folder), server.url, name]
    with subprocess.Popen(command, cwd=ROOT) as process:
        try:
            yield process
        finally:
            process.kill()


def test_each_pair_of_inserts(server: ClickHouse, tmp_path: Path) -> None:
    """Each loader comes one insert further than the one before it, which was killed before that was done.

    The last one is killed after its last insert, the mark, was done, and before it hears of it.
    """
    spool = make_spool(tmp_path)
    whole = open_fresh(server, "whole")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "spool").symlink_to(spool)
    tables = load(tmp_path / "elsewhere", whole, batch_records=100_000).inserter.rows
    database = open_fresh(server, "killed")
    killed_at = []
    moments = [("hold", number) for number in range(len(tables) + 1)] + [("hold_done", len(tables))]
    for kind, number in moments:
        server.fault(kind, skip=number)
        with loading(tmp_path, server, "killed") as process:
            killed_at.append(server.wait_held())
            os.kill(process.pid, signal.SIGKILL)
            assert process.wait(TIMEOUT_S) == -signal.SIGKILL
        server.heal()
        if number < len(tables):
            assert database.query("SELECT count() FROM book_levels") == [(0,)], "views go beyond the mark"
    assert killed_at == [*tables, "load_batch", "load_batch"]
    with loading(tmp_path, server, "killed") as process:
        assert process.wait(TIMEOUT_S) == 0
    assert contents(database) == contents(whole)
    assert verify(spool, database, "r1").problems == []
