"""An import that is interrupted anywhere and repeated leaves what one that was not leaves."""

import errno
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ext.block import Block
from recorder.archives import playback, unpacking
from recorder.archives.errors import ArchiveError
from recorder.archives.importer import ImportOptions
from recorder.archives.unpacking import Lines
from recorder.database.clickhouse import DatabaseError
from tests.support.archives import book_lines, day_ms, trade_rows, write_books, write_trades
from tests.support.databases import FragileDatabase, Killed, use_another
from tests.support.imports import Place, place

DAY = "2024-12-01"
DAY_MS = day_ms(DAY)
MESSAGES = 200
BATCH_LINES = 120
PROCESS_TIMEOUT_S = 60
KILLS = 3
IMPORT = """
import sys
from pathlib import Path
from recorder.database.clickhouse import open_embedded
from recorder.archives.importer import ImportOptions, import_file
path, data = Path(sys.argv[1]), Path(sys.argv[2])
with open_embedded(data / "clickhouse") as database, database.reader() as reader:
    database.create_schema()
    options = ImportOptions(batch_lines=20)
    import_file(path, database, reader, data, options, on_progress=lambda *told: print(*told, flush=True))
"""


def make_books(folder: Path) -> Path:
    """With a hole, a restart and a line that is none, so that there is something to carry over."""
    lines = book_lines("XUSDT", DAY_MS, MESSAGES // 2)
    lines[30:33] = [b"nothing"]
    return write_books(folder, "XUSDT", DAY, [*lines, *book_lines("XUSDT", DAY_MS + 60_000, MESSAGES // 2)])


def make_trades(folder: Path) -> Path:
    rows = trade_rows("XUSDT", DAY_MS, MESSAGES)
    rows[70] = "nothing"
    return write_trades(folder, "XUSDT", DAY, rows)


MAKERS = [make_books, make_trades]


def fresh(there: Place, number: int) -> None:
    """Go on in a database of its own."""
    use_another(there.database, f"d{number}")
    there.reader.command(f"USE d{number}")


@pytest.mark.parametrize(("make", "committed"), [(make_books, False), (make_trades, True)])
def test_killed_between_any_two_inserts(
    tmp_path: Path, make: Callable[[Path], Path], committed: bool
) -> None:
    path = make(tmp_path)
    with place(tmp_path) as there:
        counting = FragileDatabase(there.database)
        there.load(path, counting, batch_lines=BATCH_LINES)
        whole = there.contents()
        assert counting.inserts >= 7
        for dies_at in range(counting.inserts):
            fresh(there, dies_at)
            with pytest.raises(Killed):
                there.load(
                    path,
                    FragileDatabase(there.database, dies_at=dies_at, committed=committed),
                    batch_lines=BATCH_LINES,
                )
            outcome = there.load(path, batch_lines=BATCH_LINES)
            assert there.contents() == whole, f"insert {dies_at}"
            assert outcome.known == (committed and dies_at == counting.inserts - 1)


@pytest.mark.parametrize("make", MAKERS)
def test_interrupted_at_any_byte_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[Path], Path]
) -> None:
    path = make(tmp_path)
    seed = random.randrange(1 << 30)
    print(f"seed {seed}")
    random_number = random.Random(seed)
    monkeypatch.setattr(unpacking, "CHUNK_BYTES", 512)
    with place(tmp_path) as there:
        there.load(path, batch_lines=BATCH_LINES)
        whole = there.contents()
        size = unpacked(path)
        for number in range(2):
            fresh(there, number)
            for limit in sorted(random_number.randrange(size) for _ in range(3)):
                error = random_number.choice([KeyboardInterrupt(), OSError(errno.EIO, "Input/output error")])
                with monkeypatch.context() as patch:
                    patch.setattr(playback, "Lines", lines_until(limit, error))
                    with pytest.raises(type(error)):
                        there.load(path, batch_lines=random_number.randrange(5, 90))
            there.load(path, batch_lines=BATCH_LINES)
            assert there.contents() == whole, f"seed {seed}, {number}"


def unpacked(path: Path) -> int:
    with Lines(path) as lines:
        return sum(len(line) + 1 for line in lines)


def lines_until(limit: int, error: BaseException) -> type[Lines]:
    class Failing(Lines):
        def __iter__(self) -> Iterator[bytes]:
            for line in super().__iter__():
                if self.unpacked_bytes > limit:
                    raise error
                yield line

    return Failing


def test_a_process_killed_at_any_moment(tmp_path: Path) -> None:
    path = make_books(tmp_path)
    seed = random.randrange(1 << 30)
    print(f"seed {seed}")
    random_number = random.Random(seed)
    kills = 0
    for _ in range(KILLS):
        with start(path, tmp_path) as process:
            assert process.stdout is not None
            for _ in range(random_number.randrange(1, 9)):
                if not process.stdout.readline():
                    break
            if process.poll() is None:
                os.kill(process.pid, signal.SIGKILL)
                kills += 1
            process.wait(PROCESS_TIMEOUT_S)
    assert kills
    with place(tmp_path) as there:
        there.load(path, batch_lines=BATCH_LINES)
        found = there.contents()
        fresh(there, 0)
        there.load(path, batch_lines=BATCH_LINES)
        assert found == there.contents()


def start(path: Path, data: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", IMPORT, str(path), str(data)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_options_may_not_change_halfway(tmp_path: Path) -> None:
    path = make_trades(tmp_path)
    with place(tmp_path) as there:
        with pytest.raises(Killed):
            there.load(path, FragileDatabase(there.database, dies_at=5), batch_lines=20)
        with pytest.raises(
            ArchiveError, match="category was 'inverse', but its import was begun with 'linear'"
        ):
            there.load(path, category="inverse")
        with pytest.raises(ArchiveError, match="symbol was 'Y', but its import was begun with 'XUSDT'"):
            there.load(path, symbol="Y")
        assert there.load(path).resumed_at == 40
        assert there.one("SELECT count() FROM trade") == MESSAGES - 1


def test_without_tokens_a_lost_reply_is_seen_twice(tmp_path: Path) -> None:
    """That the tests above can fail: the intent alone does not help where the rows are there already."""
    path = make_trades(tmp_path)
    with place(tmp_path) as there:
        dying = FragileDatabase(there.database, dies_at=2, committed=True, tokens=False)
        with pytest.raises(Killed):
            there.load(path, dying, batch_lines=BATCH_LINES)
        there.load(path, FragileDatabase(there.database, tokens=False), batch_lines=BATCH_LINES)
        assert there.one("SELECT count() FROM trade") > MESSAGES


class DownDatabase(FragileDatabase):
    """A server that does not take anything; it is waited for, for ever."""

    is_embedded = False

    def insert(self, table: str, block: bytes | Block, token: str) -> None:
        raise DatabaseError("connection refused")


def test_ctrl_c_ends_the_waiting_for_a_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make_trades(tmp_path)
    monkeypatch.setattr(playback, "Lines", lines_until(3_000, KeyboardInterrupt()))
    monkeypatch.setattr(unpacking, "CHUNK_BYTES", 512)
    with place(tmp_path) as there:
        with pytest.raises(KeyboardInterrupt):
            there.load(path, DownDatabase(there.database), batch_lines=20)
        monkeypatch.undo()
        assert there.load(path).rows["trade"] == MESSAGES - 1


def test_a_file_that_changes_meanwhile_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make_trades(tmp_path)
    shorter = write_trades(tmp_path / "other", "XUSDT", DAY, trade_rows("XUSDT", DAY_MS, MESSAGES // 2))
    with place(tmp_path) as there, monkeypatch.context() as patch:
        patch.setattr(playback, "Lines", lambda _: Lines(shorter))
        with pytest.raises(
            ArchiveError, match="it changed while it was imported: run the same command again"
        ):
            there.load(path, batch_lines=20)
    assert ImportOptions().skip_recorded
