"""`tapehead gaps`: the ledger filtered, by day, exported, and held against the spool."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ext.journal import RecordKind
from recorder.cli import main
from recorder.loading.loader import Loader
from recorder.queries.server import QueryServer
from tests.support.databases import embedded
from tests.support.market import START_NS, S, SpoolMaker, book_frame

DAY_S = 86_400
MIDNIGHT_NS = START_NS // (DAY_S * S) * (DAY_S * S) + DAY_S * S  # the first after START_NS
BOOK, TRADES = "orderbook.50.AAAUSDT", "publicTrade.AAAUSDT"
LEVELS = ([("10.1", "1")], [("10.3", "1")])

Ask = Callable[..., Any]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A disconnection from 10 s before midnight to 20 s after it, a restart, trades missing at the end."""
    folder = tmp_path_factory.mktemp("gaps")
    maker = SpoolMaker(folder / "spool", start_ns=MIDNIGHT_NS - 30 * S)
    maker.connect(BOOK, TRADES)
    maker.frame(book_frame("AAAUSDT", "snapshot", 100, *LEVELS), after_ns=0)
    maker.beat(20)
    maker.frame(book_frame("AAAUSDT", "delta", 101, [("10.1", "2")]), after_ns=0)
    maker.disconnect("lost")
    maker.beat(30)
    maker.connect(BOOK, TRADES)
    maker.frame(book_frame("AAAUSDT", "snapshot", 500, *LEVELS), after_ns=0)
    maker.beat(5)
    maker.frame(book_frame("AAAUSDT", "snapshot", 1, *LEVELS), after_ns=0)
    maker.record(RecordKind.CLOCK, {"step_ns": S})
    common = {"connection": 1, "category": "linear", "leg": 0, "topics": [TRADES]}
    maker.record(RecordKind.STALLED, {**common, "start_ns": maker.now_ns - 2 * S, "detail": "dead"})
    maker.beat(3)
    maker.close()
    with embedded(folder / "clickhouse") as database:
        loader = Loader(folder / "spool", database, "r1", folder)
        loader.recover()
        loader.drain()
        loader.close()
        server = QueryServer(database, folder).start()
        yield folder
        server.close()


@pytest.fixture
def ask(data: Path, capsys: pytest.CaptureFixture[str]) -> Ask:
    def asked(*options: str, code: int = 0) -> Any:
        assert main(["gaps", str(data), *options, "--json"]) == code
        return json.loads(capsys.readouterr().out.splitlines()[-1])

    return asked


def causes(answer: Any) -> list[tuple[str, str]]:
    return [(gap["topic"], gap["cause"]) for gap in answer["gaps"]]


CUT = [(BOOK, "disconnect"), (TRADES, "disconnect")]
RESTART, STALLED = (BOOK, "restart"), (TRADES, "stalled")


def test_all_of_them(ask: Ask) -> None:
    assert sorted(causes(ask())) == sorted([*CUT, RESTART, STALLED])


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("--topic", BOOK), [CUT[0], RESTART]),
        (("--topic", "publicTrade.*"), [CUT[1], STALLED]),
        (("--topic", "*_50*"), []),
        (("--topic", "it's"), []),
        (("--cause", "restart", "--cause", "stalled"), [RESTART, STALLED]),
        (("--topic", BOOK, "--cause", "stalled"), []),
        (("--open",), [STALLED]),
    ],
)
def test_filters(ask: Ask, options: tuple[str, ...], expected: list[tuple[str, str]]) -> None:
    assert sorted(causes(ask(*options))) == sorted(expected)


def test_by_time(ask: Ask) -> None:
    middle = datetime.fromtimestamp(MIDNIGHT_NS // S + 22, UTC)
    assert sorted(causes(ask("--since", middle.isoformat()))) == [RESTART, STALLED]
    before = middle.replace(tzinfo=None, second=15)
    assert causes(ask("--until", before.isoformat())) == CUT
    assert ask("--since", "yesterday", code=2)["error"]["remedy"].startswith("use 2026-01-31")


def test_by_day(ask: Ask) -> None:
    days = ask("--by-day")["days"]
    cut = [
        (day["topics"], day["gaps"], day["open"], day["seconds"])
        for day in days
        if day["cause"] == "disconnect"
    ]
    # Of the two topics the trades had data last at the confirmation, at the same time as the snapshot.
    assert [(topics, gaps, is_open) for topics, gaps, is_open, _ in cut] == [(2, 2, 0)] * 2
    assert [seconds for *_, seconds in cut] == [20, 40]
    assert {day["symbol"] for day in days} == {"AAAUSDT"}
    (stalled,) = [day for day in days if day["cause"] == "stalled"]
    assert (stalled["open"], stalled["seconds"]) == (1, 5)
    assert [day["cause"] for day in ask("--by-day", "--cause", "restart")["days"]] == ["restart"]
    assert ask("--by-day", "--open", code=2)["error"]["remedy"]


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_exports_with_the_events_beside(ask: Ask, tmp_path: Path, suffix: str) -> None:
    answer = ask("--export", str(tmp_path / f"lost{suffix}"))
    gaps, events = Path(answer["gaps"]).read_bytes(), Path(answer["events"]).read_bytes()
    assert events.count(b"clock_stepped") >= 1
    assert b"stalled" in gaps
    if suffix == ".csv":
        assert gaps.splitlines()[0].startswith(b'"recorder","id","category","topic","cause"')
        assert len(gaps.splitlines()) == 1 + 4
    if suffix == ".parquet":
        assert gaps[:4] == gaps[-4:] == b"PAR1"
    assert ask("--export", "lost.xls", code=2)["error"]["remedy"] == "use .csv or .parquet or .jsonl"


def test_coverage_is_a_check(ask: Ask, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answer = ask("--coverage")
    assert answer["is_complete"]
    assert {topic["topic"] for topic in answer["topics"]} == {BOOK, TRADES}
    maker = SpoolMaker(tmp_path / "spool")
    maker.connect(TRADES)
    maker.beat(3)
    maker.now_ns += 10 * S
    maker.beat(3)
    maker.close()
    assert main(["gaps", str(tmp_path), "--coverage", "--json"]) == 1
    (topic,) = json.loads(capsys.readouterr().out.splitlines()[-1])["topics"]
    assert topic["uncovered_s"] == pytest.approx(11)
