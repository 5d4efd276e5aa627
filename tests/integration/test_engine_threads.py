"""The embedded engine keeps to the few threads that a recorder's machine has room for."""

from pathlib import Path

from recorder.database.clickhouse import open_embedded
from tests.support.recordings import until

PARTS = 130  # the engine's own threshold for removing them with a pool of 128 threads is 100
REMOVED_SOON = (
    "old_parts_lifetime = 0, cleanup_delay_period = 1, max_cleanup_delay_period = 1,"
    " cleanup_delay_period_random_add = 0"
)


def _threads() -> int:
    return len(list(Path("/proc/self/task").iterdir()))


def test_many_old_parts_are_removed_without_many_threads(tmp_path: Path) -> None:
    with open_embedded(tmp_path) as database:
        database.command(f"CREATE TABLE t (n UInt64) ENGINE = MergeTree ORDER BY n SETTINGS {REMOVED_SOON}")
        database.command("SYSTEM STOP MERGES t")
        for number in range(PARTS):
            database.command(f"INSERT INTO t VALUES ({number})")
        before = _threads()
        database.command("SYSTEM START MERGES t")
        database.command("OPTIMIZE TABLE t FINAL")
        old = "SELECT count() FROM system.parts WHERE table = 't' AND NOT active"
        until(lambda: database.query(old) == [(0,)], "old parts are gone")
        assert _threads() < before + 32
