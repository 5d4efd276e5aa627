"""A book at a moment, held against a plain replay of the frames that were recorded."""

import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import cast

import pytest

from engine.errors import ConfigError, TopicError, UsageError
from recorder import cli
from recorder.database.clickhouse import Database
from recorder.history.books import book_at
from recorder.history.moments import Moment, iso
from recorder.loading.loader import Loader
from recorder.queries.server import QueryServer
from tests.support import special
from tests.support.databases import embedded
from tests.support.market import MS, START_NS, S, SpoolMaker, book_frame

SYMBOL = "AAAUSDT"
MESSAGES = 900
START_MS = START_NS // MS

Side = dict[Decimal, Decimal]


@dataclass
class Message:
    """What a book was after a message, and when."""

    position: int
    recv_ns: int
    cts_ms: int
    update_id: int
    bids: list[tuple[Decimal, Decimal]]
    asks: list[tuple[Decimal, Decimal]]


@dataclass
class Market:
    """Draws a book of a symbol into a spool and remembers it after each message."""

    maker: SpoolMaker
    random: Random
    symbol: str = SYMBOL
    depth: int = 50
    update_id: int = 100
    bids: Side = field(default_factory=dict)
    asks: Side = field(default_factory=dict)
    messages: list[Message] = field(default_factory=list)

    def levels(self, base: int, count: int) -> list[tuple[str, str]]:
        prices = self.random.sample(range(base, base + 40), count)
        # The venue sends more digits now and then: the scale of rows differs.
        digits = self.random.choice((1, 1, 1, 3))
        return [
            (f"{price / 10:.{digits}f}", self.random.choice(("0", "1.5", "2", "0.125"))) for price in prices
        ]

    def send(self, kind: str, ts_ms: int, after_ns: int) -> None:
        if kind == "snapshot":
            self.bids, self.asks = {}, {}
            bids = [(f"{10 - n / 10:.1f}", "1") for n in range(20)]
            asks = [(f"{15 + n / 10:.1f}", "1") for n in range(20)]
        else:
            bids, asks = self.levels(80, self.random.randrange(4)), self.levels(150, self.random.randrange(4))
        for side, changes in ((self.bids, bids), (self.asks, asks)):
            for price, size in changes:
                side.pop(Decimal(price), None)
                if Decimal(size):
                    side[Decimal(price)] = Decimal(size)
        self.update_id += 1
        frame = book_frame(self.symbol, kind, self.update_id, bids, asks, depth=self.depth, ts_ms=ts_ms)
        position = self.maker.frame(frame, after_ns)
        self.messages.append(
            Message(
                position,
                self.maker.wall_ns,
                ts_ms - 3,
                self.update_id,
                sorted(self.bids.items(), reverse=True),
                sorted(self.asks.items()),
            )
        )


def record(folder: Path, random: Random) -> tuple[Market, Market]:
    """Record a book over some minutes, several messages within a cts, and a quieter one of another depth."""
    maker = SpoolMaker(folder / "spool", segment_bytes=1 << 18)
    maker.connect(f"orderbook.50.{SYMBOL}", f"orderbook.200.{SYMBOL}")
    deep = Market(maker, random, depth=200)
    market = Market(maker, random)
    ts_ms = START_MS
    deep.send("snapshot", ts_ms, MS)
    for number in range(MESSAGES):
        ts_ms += random.choice((0, 0, 1, 20, 700))
        late_ns = START_NS + (ts_ms - START_MS + random.randrange(3, 9)) * MS
        kind = "snapshot" if number in (0, 400) else "delta"
        market.send(kind, ts_ms, max(1, late_ns - maker.now_ns))
        if number % 50 == 0:
            deep.send("delta", ts_ms, 1)
    maker.close()
    return market, deep


def load(folder: Path, database: Database, recorder: str) -> None:
    loader = Loader(folder / "spool", database, recorder, folder, batch_records=200)
    loader.recover()
    loader.drain()
    loader.close()


@dataclass
class Recording:
    folder: Path
    database: Database
    market: Market
    deep: Market


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recording]:
    folder = tmp_path_factory.mktemp("book")
    market, deep = record(folder, Random(4))
    with embedded(folder / "clickhouse") as database:
        load(folder, database, "r1")
        yield Recording(folder, database, market, deep)


def check(
    database: Database,
    message: Message,
    at: Moment,
    *,
    symbol: str = SYMBOL,
    depth: int = 50,
    clock: str = "recv",
) -> None:
    found = book_at(database, symbol, at, depth=depth, clock=clock)
    assert (found.position, found.update_id) == (message.position, message.update_id), f"{at} {clock}"
    assert (found.recv_ns, found.cts_ms) == (message.recv_ns, message.cts_ms)
    assert (list(found.bids), list(found.asks)) == (message.bids, message.asks), f"{at} {clock}"
    assert not found.doubtful


def test_book_is_exact_to_the_message_by_each_clock(recording: Recording) -> None:
    random, messages = Random(5), recording.market.messages
    for _ in range(10):
        number = random.randrange(len(messages) - 1)
        message, following = messages[number], messages[number + 1]
        check(recording.database, message, Moment(ns=message.recv_ns))
        check(recording.database, message, Moment(ns=following.recv_ns - 1))
        check(recording.database, message, Moment(position=message.position))
        last = [one for one in messages if one.cts_ms <= message.cts_ms][-1]
        at_ns = message.cts_ms * MS + random.randrange(MS)
        check(recording.database, last, Moment(ns=at_ns), clock="cts")


def test_quiet_and_deeper_books(recording: Recording) -> None:
    messages = recording.deep.messages
    for number in (0, 3, len(messages) - 2):
        at_ns = messages[number + 1].recv_ns - 1
        check(recording.database, messages[number], Moment(ns=at_ns), depth=200)
    last = recording.market.messages[-1]
    deepest = book_at(recording.database, SYMBOL, Moment(position=last.position))
    assert (deepest.depth, deepest.update_id) == (200, messages[-1].update_id)


@pytest.mark.parametrize("days", [-3, 3])
def test_archives_of_other_days_are_not_looked_into(recording: Recording, days: int) -> None:
    message = recording.market.messages[500]
    when = f"fromUnixTimestamp64Nano({message.recv_ns + days * 86_400 * S})"
    recording.database.command(
        "INSERT INTO load_batch (recorder, last_position, first_recv, last_recv)"
        f" SELECT 'import-{days}-' || toString(number), 9, {when}, {when} FROM numbers(50)"
    )
    asked: list[str] = []
    counting = SimpleNamespace(
        query=lambda sql, values=None: (asked.append(sql), recording.database.query(sql, values))[1]
    )
    for clock, at_ns in (("recv", message.recv_ns), ("cts", message.cts_ms * MS)):
        asked.clear()
        book_at(cast("Database", counting), SYMBOL, Moment(ns=at_ns), depth=50, clock=clock)
        assert len(asked) < 10


def test_outside_and_unknown(recording: Recording) -> None:
    first, last = recording.deep.messages[0], recording.market.messages[-1]
    range_told = rf"it is there from {iso(first.recv_ns)} to {iso(last.recv_ns)[:-5]}"
    for at in (
        Moment(ns=first.recv_ns - 1),
        Moment(ns=last.recv_ns + 3600 * S),
        Moment(position=9 << 32 | 7),
    ):
        with pytest.raises(UsageError, match=range_told):
            book_at(recording.database, SYMBOL, at)
    at = Moment(ns=last.recv_ns)
    with pytest.raises(TopicError, match="no book of symbol 'AAAUSD' was recorded in linear: use AAAUSDT"):
        book_at(recording.database, "AAAUSD", at)
    with pytest.raises(TopicError, match=r"no book of depth 500 of AAAUSDT .*: use 50 or 200"):
        book_at(recording.database, SYMBOL, at, depth=500)
    with pytest.raises(TopicError, match=r"no book of rpi of AAAUSDT .*: use 50 or 200"):
        book_at(recording.database, SYMBOL, at, kind="rpi")
    with pytest.raises(UsageError, match="nothing of recorder 'r2' is loaded"):
        book_at(recording.database, SYMBOL, at, recorder="r2")
    for wrong in ({"clock": "ts"}, {"kind": "deep"}, {"kind": "full", "depth": 50}):
        with pytest.raises(ConfigError):
            book_at(recording.database, SYMBOL, at, **wrong)  # type: ignore[arg-type]  # one of them is wrong


def test_command_asks_the_recorder_that_runs(
    recording: Recording, capsys: pytest.CaptureFixture[str]
) -> None:
    message = recording.market.messages[700]
    server = QueryServer(recording.database, recording.folder).start()
    arguments = ["book", SYMBOL, "--depth", "50", "--data", str(recording.folder), "--levels", "3"]
    try:
        assert cli.main([*arguments, "--at", iso(message.recv_ns), "--json"]) == 0
        by_server = json.loads(capsys.readouterr().out.splitlines()[-1])
        assert (
            cli.main([*arguments, "--at", f"{message.position >> 32}:{message.position & 0xFFFFFFFF}"]) == 0
        )
        shown = capsys.readouterr().out
        assert cli.main([*arguments, "--at", "2026-09-21T00:00:00"]) == 2
        assert "names no zone" in capsys.readouterr().err
    finally:
        server.close()
    assert by_server["update_id"] == message.update_id
    assert by_server["bids"] == [
        [str(price), str(size)] for price, size in exact(message.bids[:3], by_server["bids"])
    ]
    assert (by_server["doubtful"], by_server["state"], by_server["gaps"]) == (False, "live", [])
    assert f"after update {message.update_id}" in shown
    assert len(shown.splitlines()) == 2 + 1 + 3


def exact(levels: list[tuple[Decimal, Decimal]], shown: list[list[str]]) -> list[tuple[Decimal, Decimal]]:
    """Return levels with the digits in which they were shown, if they are the same numbers."""
    assert levels == [(Decimal(price), Decimal(size)) for price, size in shown]
    return [(Decimal(price), Decimal(size)) for price, size in shown]


def test_gap_makes_it_doubtful(recording: Recording, tmp_path: Path) -> None:
    database, symbol = recording.database, "GGGUSDT"
    maker = SpoolMaker(tmp_path / "spool", "gap")
    maker.connect(f"orderbook.50.{symbol}")
    market = Market(maker, Random(1), symbol)
    for number in range(5):
        market.send("delta" if number else "snapshot", START_MS + number, 10 * MS)
    maker.beat(2)
    disconnected = maker.disconnect("closed")
    maker.beat(2)
    maker.connect(f"orderbook.50.{symbol}")
    market.send("snapshot", START_MS + 5000, 10 * MS)
    market.send("delta", START_MS + 5010, 10 * MS)
    maker.close()
    load(tmp_path, database, "gap")
    before, healed, after = market.messages[-3:]
    known = book_at(database, symbol, Moment(position=before.position))
    assert not known.doubtful
    during = book_at(database, symbol, Moment(ns=healed.recv_ns - 1))
    assert (during.update_id, during.doubtful) == (before.update_id, True)
    assert [(gap.cause, gap.start_ns, gap.end_ns) for gap in during.gaps] == [
        ("disconnect", before.recv_ns, healed.recv_ns)
    ]
    for position in (disconnected, healed.position - 1):
        broken = book_at(database, symbol, Moment(position=position))
        assert (broken.update_id, broken.gaps) == (before.update_id, during.gaps)
    for message in (healed, after):
        check(database, message, Moment(ns=message.recv_ns), symbol=symbol)
        check(database, message, Moment(position=message.position), symbol=symbol)


def test_clock_that_was_set_back(recording: Recording, tmp_path: Path) -> None:
    database, symbol = recording.database, "SSSUSDT"
    maker = SpoolMaker(tmp_path / "spool", "step", segment_bytes=1 << 18)
    maker.connect(f"orderbook.50.{symbol}")
    random = Random(7)
    market = Market(maker, random, symbol)
    for number in range(600):
        kind = "snapshot" if number % 150 == 0 else "delta"
        if number == 300:
            maker.wall_ahead_ns = -150 * S
        market.send(kind, START_MS + number * 1000, S)
    maker.close()
    load(tmp_path, database, "step")
    messages = market.messages
    for _ in range(10):
        # Up to where the second pass has come, that is what counts.
        at_ns = messages[300].recv_ns + random.randrange(140, 290) * S
        later = [message for message in messages[300:] if message.recv_ns <= at_ns][-1]
        check(database, later, Moment(ns=at_ns), symbol=symbol)
        message = random.choice(messages[1:])
        check(database, message, Moment(position=message.position), symbol=symbol)
    for number in (1, 150, 297, 298, 299, 300, 301, 448, 450, 597):
        at_ns = (messages[number].cts_ms + 500) * MS
        check(database, messages[number], Moment(ns=at_ns), symbol=symbol, clock="cts")


def test_best_level_alone(recording: Recording, tmp_path: Path) -> None:
    database, symbol = recording.database, "BBBUSDT"
    maker = SpoolMaker(tmp_path / "spool", "best")
    maker.connect(f"orderbook.1.{symbol}")
    positions = [
        maker.frame(
            book_frame(
                symbol, "snapshot", 7 + number, [(f"10.{number}", "1")], [("11", "2")][: number % 2], depth=1
            )
        )
        for number in range(5)
    ]
    maker.close()
    load(tmp_path, database, "best")
    for number, position in enumerate(positions):
        found = book_at(database, symbol, Moment(position=position))
        assert (found.depth, found.update_id) == (1, 7 + number)
        assert found.bids == ((Decimal(f"10.{number}"), Decimal(1)),)
        assert found.asks == (((Decimal(11), Decimal(2)),) if number % 2 else ())
    by_cts = book_at(database, symbol, Moment(ns=START_NS), clock="cts")
    assert by_cts.update_id == 11


def test_rpi_book_has_both_sizes(
    recording: Recording, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    maker = SpoolMaker(tmp_path / "spool", "rpi")
    maker.connect("orderbook.rpi.RRRUSDT")
    bids, asks = [("100.2", "1.5", "0"), ("100.1", "0", "0.4")], [("100.3", "2", "3")]
    maker.frame(special.book("rpi", "snapshot", 11, bids, asks, symbol="RRRUSDT"))
    bids = [("100.2", "1.1", "0.7"), ("100.1", "0", "0.000"), ("99.9", "0", "1")]
    maker.frame(special.book("rpi", "delta", 12, bids, [("100.3", "0", "3")], symbol="RRRUSDT"))
    at_ns = maker.wall_ns
    maker.close()
    load(tmp_path, recording.database, "rpi")
    found = book_at(recording.database, "RRRUSDT", Moment(ns=at_ns), kind="rpi")
    numbers = [
        [tuple(float(number) for number in level) for level in side]
        for side in (found.bids, found.asks, found.rpi_bids, found.rpi_asks)
    ]
    assert numbers == [
        [(100.2, 1.1)],
        [],
        [(100.2, 1.1, 0.7), (99.9, 0, 1)],
        [(100.3, 0, 3)],
    ]
    with closing(QueryServer(recording.database, recording.folder).start()):
        arguments = ["--kind", "rpi", "--at", str(at_ns), "--data", str(recording.folder)]
        assert cli.main(["book", "RRRUSDT", *arguments]) == 0
    assert capsys.readouterr().out.splitlines()[-2].split() == ["0.7", "1.1", "100.2", "100.3", "0", "3.0"]
