"""What a table refuses for what is in it is set aside, told, and healed; what a table lacks is waited for."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from recorder import cli
from recorder.database.clickhouse import Database, DatabaseError
from recorder.folder import DataFolder
from recorder.loading import again
from recorder.loading import inserter as inserting
from recorder.loading.inserter import REFUSALS_MAX, SET_ASIDE_RUN_MAX
from recorder.loading.poison import _REFUSALS, POISON_FOLDER, PoisonFolder, is_refusal
from recorder.verify import verify
from tests.support.databases import FragileDatabase, Killed, embedded
from tests.support.servers import ClickHouse, Pauses, clickhouse
from tests.support.sinks import Contents, contents, load, make_spool, open_fresh

REFUSED = "AAAUSDT-12"  # a trade
NOT_THAT_ONE = f"ALTER TABLE trade ADD CONSTRAINT whim CHECK trade_id != '{REFUSED}'"
NONE_AT_ALL = "ALTER TABLE book_delta ADD CONSTRAINT whim CHECK position = 0"
NO_WHIM = "ALTER TABLE {} DROP CONSTRAINT whim"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouse]:
    with clickhouse(tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture
def database(server: ClickHouse, request: pytest.FixtureRequest) -> Database:
    return open_fresh(server, "".join(one if one.isalnum() else "_" for one in request.node.name))


def batch_of(database: Database, where: str) -> tuple[int, int]:
    ((first, last),) = database.query(f"SELECT first_position, last_position FROM load_batch WHERE {where}")
    return int(first), int(last)


def test_the_names_of_refusals_are_those_of_the_engine(database: Database) -> None:
    names = database.query(
        "SELECT errorCodeToName(arrayJoin({codes:Array(UInt32)})) AS name ORDER BY name",
        {"codes": sorted(_REFUSALS)},
    )
    source = Path(inserting.__file__).with_name("poison.py").read_text()
    assert all(f"# {name}\n" in source for (name,) in names)
    for code in (0, 32, 33, 60, 159, 202, 210, 241, 242, 252, 319, 516):
        assert not is_refusal(DatabaseError("try later", code))


def test_a_refused_batch_is_set_aside_and_the_mark_goes_on(database: Database, tmp_path: Path) -> None:
    spool = make_spool(tmp_path)
    database.command(NOT_THAT_ONE)
    pauses = Pauses()
    loader = load(tmp_path, database, pauses)

    assert loader.inserter.counters["set_aside_batches"] == 1
    assert len(pauses.taken) == REFUSALS_MAX - 1
    assert loader.inserter.cursor == loader.playback.position
    ((position, detail),) = database.query(
        "SELECT position, detail FROM events WHERE kind = 'batch_set_aside'"
    )
    assert "trade refused" in detail
    first, last = batch_of(database, f"last_position = {position}")
    topics = database.query(
        "SELECT topic, end > start FROM gaps WHERE cause = 'own_drop' AND fault = 'ours' ORDER BY topic"
    )
    kinds = ("kline.1", "orderbook.50", "publicTrade", "tickers")
    assert topics == [(f"{kind}.{symbol}", 1) for kind in kinds for symbol in ("AAAUSDT", "BBBUSDT")]
    assert database.query(f"SELECT count() FROM bbo WHERE position BETWEEN {first} AND {last}") == [(0,)]
    assert not verify(spool, database, "r1").is_right

    (entry,) = PoisonFolder(tmp_path / POISON_FOLDER).entries("r1")
    told = json.loads((entry.path / "batch.json").read_bytes())
    assert (told["first"], told["last"], told["refused"], told["code"]) == (first, last, "trade", 469)
    assert REFUSED.encode() in (entry.path / "trade.native").read_bytes()
    assert (entry.path / "bbo.native").exists()


def test_what_was_set_aside_is_healed_by_loading_the_segment_again(
    server: ClickHouse, database: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spool = make_spool(tmp_path, messages=300)
    database.command(NOT_THAT_ONE)
    load(tmp_path, database, Pauses())
    ((segment,),) = database.query(
        "SELECT DISTINCT segment FROM load_batch WHERE has(tables.name, 'trade') = 0"
    )
    segments = database.query("SELECT DISTINCT segment FROM load_batch ORDER BY segment")
    assert len(segments) > 1
    others = f"SELECT * FROM load_batch WHERE segment != {segment} ORDER BY ALL"
    untouched = database.query(others)
    database.command(NO_WHIM.format("trade"))

    place = DataFolder(tmp_path)
    again.ask(place, database, 0, segment, segment)
    loader = again.finish(place, database, Pauses())
    assert loader is not None
    assert verify(spool, database, "r1").problems == []
    assert list(PoisonFolder(tmp_path / POISON_FOLDER).entries("r1")) == []
    assert database.query("SELECT count() FROM events WHERE kind = 'batch_set_aside'") == [(0,)]
    assert database.query(others) == untouched
    assert again.finish(place, database, Pauses()) is None


@pytest.mark.parametrize("which", ["first", "middle", "last"])
def test_loading_again_ends_well_wherever_it_dies(database: Database, tmp_path: Path, which: str) -> None:
    make_spool(tmp_path, messages=300)
    load(tmp_path, database, batch_records=150)
    expected = contents(database)
    numbers = [number for (number,) in database.query("SELECT DISTINCT segment FROM load_batch ORDER BY 1")]
    assert len(numbers) >= 3
    chosen = {"first": numbers[:1], "middle": numbers[1:2], "last": numbers[-1:]}[which]
    place = DataFolder(tmp_path)
    for dies_at in (1, 4):
        again.ask(place, database, 0, chosen[0], chosen[-1])
        with pytest.raises(Killed):
            again.finish(place, FragileDatabase(database, dies_at=dies_at, committed=True), Pauses())  # type: ignore[arg-type]  # stands in
        loader = again.finish(place, database, Pauses())
        assert loader is not None
        assert contents(database) == expected, f"died at insert {dies_at}"
    assert load(tmp_path, database).inserter.counters["batches"] == 0


def test_what_was_to_be_loaded_again_leaves_no_hole_in_a_database_that_is_new(
    server: ClickHouse, database: Database, tmp_path: Path
) -> None:
    make_spool(tmp_path, messages=300)
    load(tmp_path, database, batch_records=150)
    expected = contents(database)
    place = DataFolder(tmp_path)
    again.ask(place, database, 0, 2, 2)
    fresh = open_fresh(server, "again_fresh")
    assert again.finish(place, fresh, Pauses()) is None
    load(tmp_path, fresh, batch_records=150)
    assert contents(fresh) == expected
    assert again.finish(place, fresh, Pauses()) is None


def test_a_column_that_is_missing_is_waited_for(database: Database, tmp_path: Path) -> None:
    """What is wrong is the table, not what is in the batch."""
    spool = make_spool(tmp_path)
    database.command("ALTER TABLE trade DROP COLUMN is_rpi")
    mend = "ALTER TABLE trade ADD COLUMN is_rpi Bool"
    loader = load(tmp_path, database, Pauses({12: lambda: database.command(mend)}))
    assert loader.inserter.counters["set_aside_batches"] == 0
    assert verify(spool, database, "r1").problems == []
    assert database.query("SELECT countIf(is_rpi), count() FROM trade WHERE is_rpi = 0") == [(0, 0)]


def test_not_every_batch_is_to_blame(database: Database, tmp_path: Path) -> None:
    """After some in a row it is the table again."""
    make_spool(tmp_path, messages=60)
    database.command(NONE_AT_ALL)
    relent = SET_ASIDE_RUN_MAX * (REFUSALS_MAX - 1) + 20
    pauses = Pauses({relent: lambda: database.command(NO_WHIM.format("book_delta"))})
    loader = load(tmp_path, database, pauses, batch_records=10)
    assert loader.inserter.counters["set_aside_batches"] == SET_ASIDE_RUN_MAX
    assert len(pauses.taken) == relent


def apart_from_details(database: Database) -> Contents:
    """Errors name the database, which differs."""
    found = contents(database)
    return {**found, "event": [row[:-1] for row in found["event"]]}


def test_setting_aside_ends_well_wherever_it_dies(server: ClickHouse, tmp_path: Path) -> None:
    make_spool(tmp_path)
    whole = open_fresh(server, "aside_whole")
    whole.command(NOT_THAT_ONE)
    load(tmp_path, whole, Pauses())
    expected = apart_from_details(whole)
    for dies_at in range(2, 16, 3):
        (tmp_path / "loader.intent").unlink()
        database = open_fresh(server, f"aside_{dies_at}")
        database.command(NOT_THAT_ONE)
        with pytest.raises(Killed):
            load(tmp_path, FragileDatabase(database, dies_at=dies_at, committed=True), Pauses())
        load(tmp_path, database, Pauses())
        assert apart_from_details(database) == expected, f"died at insert {dies_at}"


def test_an_embedded_engine_is_tried_in_a_new_process_first(tmp_path: Path) -> None:
    make_spool(tmp_path)
    with embedded(tmp_path / "clickhouse") as database:
        database.command(NOT_THAT_ONE)
        with pytest.raises(DatabaseError, match="VIOLATED_CONSTRAINT"):
            load(tmp_path, database, Pauses())
        assert load(tmp_path, database, Pauses()).inserter.counters["set_aside_batches"] == 1


def run_cli(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, object]]:
    code = cli.main([*arguments, "--json"])
    told: dict[str, object] = json.loads(capsys.readouterr().out.splitlines()[-1])
    return code, told


def test_the_command_loads_and_loads_again(
    server: ClickHouse, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_spool(tmp_path, messages=300)
    where = ("--data", str(tmp_path), "--database", server.url)
    code, told = run_cli(capsys, "load", *where)
    assert code == 0
    assert told["recorders"][0]["recorder"] == "r1"  # type: ignore[index]  # parsed JSON
    before = contents(open_fresh(server, "tapehead"))
    assert run_cli(capsys, "load", *where, "--again", "1-2")[0] == 0
    assert contents(open_fresh(server, "tapehead")) == before
    for wrong, message in [
        ("0", "no range"),
        ("3-2", "no range"),
        ("x", "no range"),
        ("900", "nothing of it"),
    ]:
        code, told = run_cli(capsys, "load", *where, "--again", wrong)
        assert code == 2
        assert message in told["error"]["message"]  # type: ignore[index]  # parsed JSON
    (tmp_path / "spool" / "00000001.tape").unlink()
    for state in (tmp_path / "spool").glob("*.state"):
        state.unlink()
    code, told = run_cli(capsys, "load", *where, "--again", "2")
    assert code == 2
    assert "segment 1 is not in the spool" in told["error"]["message"]  # type: ignore[index]  # parsed JSON
    assert contents(open_fresh(server, "tapehead")) == before
