"""The benchmarks on tiny inputs: streams lead to the book they promise, wrong books are named."""

import json
import random
from decimal import Decimal
from pathlib import Path

import pytest

from benchmarks import (
    book,
    harness,
    kernels,
    native,
    peers,
    receivers,
    report,
    sizing,
    space,
    stream,
    tape,
    venue,
)


def replay(frames: list[bytes]) -> tuple[list[tuple[Decimal, Decimal]], stream.Levels]:
    """The obvious book: a dict a side; returns the best prices after each frame and the final levels."""
    bids: dict[Decimal, Decimal] = {}
    asks: dict[Decimal, Decimal] = {}
    best = []
    for frame in frames:
        message = json.loads(frame)
        if message["type"] == "snapshot":
            bids.clear()
            asks.clear()
        for side, levels in ((bids, message["data"]["b"]), (asks, message["data"]["a"])):
            for price, size in levels:
                if Decimal(size):
                    side[Decimal(price)] = Decimal(size)
                else:
                    del side[Decimal(price)]
        best.append((max(bids), min(asks)))
    return best, (sorted(bids.items(), reverse=True), sorted(asks.items()))


@pytest.fixture(scope="module")
def compiled() -> None:
    native.build()


@pytest.mark.parametrize("depth", stream.DEPTHS)
def test_stream_leads_to_the_levels_it_promises(depth: int) -> None:
    given = stream.generate(depth, 300)
    best, levels = replay(given.frames)
    assert best == given.best
    assert levels == given.levels
    assert [len(side) for side in levels] == [depth, depth]
    assert all(bid < ask for bid, ask in best)


@pytest.mark.parametrize("depth", stream.DEPTHS)
def test_stream_is_as_the_venue_sends_it(depth: int) -> None:
    given = stream.generate(depth, 600)
    messages = [json.loads(frame) for frame in given.frames]
    updates = [message["data"]["u"] for message in messages]
    assert updates == list(range(updates[0], updates[0] + len(updates)))
    assert [message["type"] for message in messages[1:]] == ["snapshot" if depth == 1 else "delta"] * 599
    head = ["topic", "ts", "type"] if depth == 1 else ["topic", "type", "ts"]
    assert list(messages[1]) == [*head, "data", "cts"]
    assert list(messages[1]["data"]) == ["s", "b", "a", "u", "seq"]
    assert given.frames[1] == json.dumps(messages[1], separators=(",", ":")).encode()
    assert given.changes_mean == pytest.approx(stream.CHANGES[depth], rel=0.08)


def test_equal_arguments_give_equal_bytes_and_fewer_messages_a_prefix() -> None:
    more, fewer = stream.generate(50, 40, seed=7), stream.generate(50, 20, seed=7)
    assert more.frames == stream.generate(50, 40, seed=7).frames
    assert more.frames[:20] == fewer.frames
    assert more.frames != stream.generate(50, 40, seed=8).frames


def test_stream_survives_saving(tmp_path: Path) -> None:
    given = stream.generate(50, 20)
    stream.save(given, tmp_path)
    assert stream.load(tmp_path) == given


def test_stream_refuses_an_unknown_depth() -> None:
    with pytest.raises(ValueError, match=r"depth was 500; streams exist for 1, 50, 200, 1000"):
        stream.generate(500, 10)


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("depth", stream.DEPTHS)
@pytest.mark.parametrize("name", [name for name in peers.NAMES if name != "pybit_book"])
def test_peer_keeps_the_right_book(name: str, depth: int) -> None:
    check = book.work_check(peers.find(name), stream.generate(depth, 120))
    assert check["right"], check


def test_unsorted_book_is_reported_as_wrong() -> None:
    check = book.work_check(peers.find("pybit_book"), stream.generate(50, 120))
    assert not check["right"]
    assert check["best_wrong"] > 0
    assert book.verdict(check).startswith("WRONG")


def test_missing_update_is_reported_as_wrong() -> None:
    class Deaf(peers.find("bisect_lists")):  # type: ignore[misc]  # the base is chosen at run time
        def run(self, frames: list[bytes]) -> None:
            super().run([frame for frame in frames if b'"delta"' not in frame])

    assert not book.work_check(Deaf, stream.generate(50, 120))["right"]


def test_every_pass_is_timed_with_a_new_book() -> None:
    made = []

    class Watched(peers.find("bisect_lists")):  # type: ignore[misc]  # the base is chosen at run time
        def __init__(self, depth: int) -> None:
            super().__init__(depth)
            made.append(depth)

    facts = book.work_time(Watched, stream.generate(50, 20).frames, 50, timed_s=0.0)
    assert made == [50] * facts["passes"] == [50] * book.PASSES_MIN
    assert facts["us"] > 0


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("name", receivers.NAMES)
def test_receiver_takes_the_whole_wire(name: str, tmp_path: Path) -> None:
    stream.save(stream.generate(50, 300), tmp_path)
    facts = harness.spawn("wire", {"receiver": name, "stream": str(tmp_path)})
    assert facts["right"]
    assert facts["cpu_s_per_million"] > 0


def load_and_keep(folder: Path) -> harness.Facts:
    """Load a tiny spool, once written, into a new database and keep the blocks."""
    return harness.spawn("load", {"mode": "keep", "folder": str(folder)})


def test_tape_is_loaded_and_its_books_compared(tmp_path: Path) -> None:
    written = tape.write(tmp_path, 4)
    assert written["changes"] > 0
    kept = load_and_keep(tmp_path)
    assert kept["right"]
    assert len(list((tmp_path / "blocks").iterdir())) == kept["inserts"]
    assert harness.spawn("load", {"mode": "insert", "folder": str(tmp_path)})["cpu_s"] > 0


def test_every_level_change_is_weighed() -> None:
    facts = harness.spawn("space", {"source": "generated", "messages": 200})
    assert facts["right"]
    assert facts["bytes"]["book_delta"] > 0
    assert all(size > 0 for size in facts["parquet"].values())


def test_loops_of_a_capture_are_no_copies() -> None:
    data = {"b": [["7.50", "120"]], "a": [["7.51", "0"]], "u": 2, "seq": 3}
    frame = {"type": "delta", "ts": 1, "cts": 1, "data": data}
    rng = random.Random(1)
    sizes: dict[str, str] = {}
    text, changes = space.moved(frame, 2, 25, 1000, sizes, rng)
    moved = json.loads(text)
    assert changes == 2
    assert moved["data"]["b"][0] == ["7.75", sizes["120"]]
    assert moved["data"]["a"] == [["7.76", "0"]]
    assert (moved["data"]["u"], moved["ts"]) == (200_002, 1001)


def test_frames_of_every_batch_reach_the_spool() -> None:
    facts = harness.spawn("journal", {"batch": 3, "messages": 300})
    assert facts["right"]
    assert facts["frame_ns"] > 0


def test_book_that_differs_in_one_size_is_noticed(tmp_path: Path) -> None:
    tape.write(tmp_path, 4)
    path = tmp_path / "expected.json"
    expected = json.loads(path.read_text())
    next(iter(expected["levels"].values()))[0][7][1] = "0.123456"
    path.write_text(json.dumps(expected))
    assert not load_and_keep(tmp_path)["right"]


def test_whole_venue_is_captured_without_a_gap(tmp_path: Path) -> None:
    venue.draw(tmp_path, symbols=4, messages=200)
    spec = {"folder": str(tmp_path), "symbols": 4, "rate": 2_000, "companion": True}
    facts = harness.spawn("venue", spec)
    assert facts["right"]


def test_missing_valgrind_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda _: None)
    with pytest.raises(harness.BenchmarkError, match="install it"):
        kernels.run(harness.Options())


def test_failed_process_says_why() -> None:
    with pytest.raises(harness.WorkError, match="No module named"):
        harness.spawn("book", {"peer": "none", "mode": "check", "stream": "none"})


def test_ratio_compares_within_a_round() -> None:
    assert harness.ratio([2.0, 40.0, 6.0], [1.0, 10.0, 2.0]) == harness.Spread(3.0, 2.0, 4.0)


@pytest.mark.parametrize(
    ("value", "at_most", "reached"),
    [(0.3, True, True), (0.4, True, False), (0.3, False, False), (0.4, False, True)],
)
def test_goal_is_reached_on_its_own_side(value: float, at_most: bool, reached: bool) -> None:
    assert harness.goal("ratio", value, 0.35, at_most=at_most)["reached"] is reached


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0123, "0.012"), (0.456, "0.46"), (4.567, "4.57"), (45.67, "45.7"), (1234.5, "1,234")],
)
def test_numbers_are_short(value: float, text: str) -> None:
    assert report.number(value) == text


def test_tables_are_written_between_the_marks_only(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- book begin -->\nold\n<!-- book end -->\nafter\n")
    report.write_between_marks(
        page, "book", report.markdown_table(report.Table("", ("a", "b"), [("1", "2")]))
    )
    assert page.read_text() == (
        "before\n<!-- book begin -->\n| a | b |\n|---|---:|\n| 1 | 2 |\n<!-- book end -->\nafter\n"
    )
    with pytest.raises(ValueError, match="has 0 blocks"):
        report.write_between_marks(page, "wire", "text")


def test_frames_of_sizing_have_the_times_of_their_place() -> None:
    frame = b'{"topic":"publicTrade.A","ts":1790000000000,"data":[{"T":1789999999997,"seq":17}],"cts":12}'
    said = json.loads(sizing.at(frame, 1_790_000_500_000))
    assert (said["ts"], said["cts"], said["data"][0]) == (
        1_790_000_500_000,
        1_790_000_499_999,
        {"T": 1_790_000_499_999, "seq": 17},
    )
