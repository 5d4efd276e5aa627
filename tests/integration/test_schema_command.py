"""`tapehead schema`: printed, applied, compared; retention; bad input leaves everything as it was."""

import json
from pathlib import Path

import pytest

from recorder.cli import main
from recorder.database.clickhouse import open_embedded
from recorder.database.schema_diff import live_layout
from recorder.errors import ExitCode
from tests.support.first_schema import FIRST_ROWS, FIRST_SCHEMA

pytestmark = pytest.mark.usefixtures("_no_hashes")


@pytest.fixture
def _no_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RECORDER", "MIGRATE", "READER"):
        monkeypatch.delenv(f"TAPEHEAD_{name}_SHA256", raising=False)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """The folder of a recording whose database is empty."""
    (tmp_path / "spool").mkdir()
    (tmp_path / "clickhouse").mkdir()
    return tmp_path


def _schema(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, list[str]]]:
    code = main(["schema", *arguments, "--json"])
    lines = capsys.readouterr().out.strip().splitlines()
    return code, json.loads(lines[-1]) if lines else {}


def test_an_empty_database_is_made_and_then_differs_in_nothing(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = ("--data", str(data))
    code, told = _schema(capsys, "--diff", *place)
    assert code == ExitCode.CHECK_FAILED
    assert "trade: missing" in told["differences"]
    code, told = _schema(capsys, "--apply", *place)
    assert (code, told["done"][-1]) == (ExitCode.OK, "views")
    assert _schema(capsys, "--apply", *place)[1]["done"] == []
    assert _schema(capsys, "--diff", *place) == (ExitCode.OK, {"differences": []})


def test_each_difference_is_named(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with open_embedded(data / "clickhouse") as database:
        database.create_schema()
        database.command("ALTER TABLE trade MODIFY COLUMN size Int64 CODEC(ZSTD(9))")
        database.command("ALTER TABLE trade RESET SETTING non_replicated_deduplication_window")
        database.command("ALTER TABLE bbo ADD COLUMN note String")
        database.command("ALTER TABLE bbo DROP INDEX position_range")
        database.command("ALTER TABLE ticker DROP COLUMN basis")
        database.command("CREATE OR REPLACE VIEW quotes AS SELECT 1 AS one")
        database.command("DROP TABLE notice SYNC")
    code, told = _schema(capsys, "--diff", "--data", str(data))
    assert code == ExitCode.CHECK_FAILED
    named = [line.split(" is ")[0] for line in told["differences"]]
    assert named == [
        "bbo: index position_range",
        "bbo: column note",
        "notice: missing",
        "quotes: definition",
        "ticker: column basis",
        "trade: setting non_replicated_deduplication_window",
        "trade: column size",
    ]
    with open_embedded(data / "clickhouse") as database:
        rows = database.query("SELECT name FROM system.databases WHERE name LIKE 'tapehead%'")
        assert rows == [("tapehead",)]


def test_the_first_schema_differs_after_its_migration_in_what_cannot_be_changed(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with open_embedded(data / "clickhouse") as database:
        for sql in (*FIRST_SCHEMA, *FIRST_ROWS):
            database.command(sql)
    place = ("--data", str(data))
    assert "migration 0001_kinds: not applied" in _schema(capsys, "--diff", *place)[1]["differences"]
    assert "migration 0001_kinds" in _schema(capsys, "--apply", *place)[1]["done"]
    left = _schema(capsys, "--diff", *place)[1]["differences"]
    assert [line.split(" is ")[0] for line in left] == [
        f"{table}: sorting key" for table in ("bbo", "book_delta", "book_snapshot")
    ]


def test_retention_is_set_and_taken_back(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = ("--data", str(data))
    assert _schema(capsys, "--apply", *place, "--ttl", "90d")[0] == ExitCode.OK
    with open_embedded(data / "clickhouse") as database:
        assert live_layout(database).ttl_days == 90
    assert _schema(capsys, "--diff", *place)[1]["differences"] == []
    wanted = _schema(capsys, "--diff", *place, "--ttl", "30d")[1]["differences"]
    assert len(wanted) == 8
    assert all("TTL is toDateTime(recv) + toIntervalDay(90)" in line for line in wanted)
    done = _schema(capsys, "--apply", *place, "--ttl", "30d")[1]["done"]
    assert len([line for line in done if "MODIFY TTL" in line]) == 8
    assert not [line for line in done if line.startswith(("gap", "event", "load_batch", "instrument"))]
    _schema(capsys, "--apply", *place, "--ttl", "0d")
    with open_embedded(data / "clickhouse") as database:
        assert live_layout(database).ttl_days == 0


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--apply"], "no database was named"),
        (["--apply", "--diff"], "one at a time"),
        (["--ttl", "36h"], "whole days"),
        (["--move-to-volume", "cold"], "belong together"),
        (["--after", "7d"], "belong together"),
        (["--cluster", "a; DROP"], "letters, digits and _"),
        (["--move-to-volume", "x'", "--after", "7d"], "letters, digits and _"),
        (["--users", "--apply"], "--users prints"),
        (["--data", "x", "--cluster", "c"], "an embedded database has no"),
        (["--diff", "--database", "https://u:geheim@db.example"], "holds a user or password"),
    ],
)
def test_bad_input(arguments: list[str], problem: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema", *arguments]) == ExitCode.USAGE
    said = capsys.readouterr().err
    assert problem in said
    assert "geheim" not in said


def test_users_are_printed_without_passwords(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TAPEHEAD_CLICKHOUSE_PASSWORD", "geheim")
    monkeypatch.setenv("TAPEHEAD_READER_SHA256", "AB" * 32)
    code, told = _schema(capsys, "--print", "--users", "--cluster", "market")
    text = "\n".join(told["statements"])
    assert code == ExitCode.OK
    assert "geheim" not in text
    assert (
        "tapehead_recorder ON CLUSTER market IDENTIFIED WITH sha256_hash BY '<TAPEHEAD_RECORDER_SHA256>'"
        in text
    )
    assert f"'{'ab' * 32}' SETTINGS readonly = 1" in text
    monkeypatch.setenv("TAPEHEAD_READER_SHA256", "geheim")
    assert main(["schema", "--users"]) == ExitCode.USAGE
    assert "geheim" not in capsys.readouterr().err


def test_every_statement_that_is_printed_is_understood(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--ttl", "90d", "--move-to-volume", "cold", "--after", "7d", "--storage-policy", "tiered")
    with open_embedded(data / "clickhouse") as database:
        for place in ((), ("--cluster", "market")):
            for which in (options, ("--users",)):
                _, told = _schema(capsys, "--print", *place, *which)
                assert len(told["statements"]) > 5
                for sql in told["statements"]:
                    again = database.query("SELECT formatQuery({sql:String})", {"sql": sql})[0][0]
                    assert again
                    assert not place or "ON CLUSTER market" in again
