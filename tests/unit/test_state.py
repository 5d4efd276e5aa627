"""State files and what is in them: nothing forgotten, nothing else let in, and damage known."""

import logging
import pickle
import re
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from ext.columns import Columns
from ext.continuity import StormLimit
from ext.dispatch import Dispatcher
from ext.listener import Event, Listener, Trade
from ext.state import columns_state, dispatcher_state, restore_dispatcher
from ext.ticker_row import TickerRow
from recorder.instruments import InstrumentRows
from recorder.loading.state import (
    State,
    StateError,
    load,
    remove_beyond,
    save,
    state_path,
    states,
    thin,
    usable,
)
from recorder.playback import Playback
from recorder.spool.segments import segment_path
from recorder.sql import schema
from recorder.wanted import Wanted
from tests.support.calls import Script, Transcript
from tests.support.frames import TS_MS, book_frame, trade_frame
from tests.support.special import trade

CONFIRMATIONS_MIN = int(StormLimit.CONFIRMATIONS_MIN)
EXT = Path(__file__).resolve().parents[2] / "ext"

# What is no part of a state, and why.
FOLLOWS_FROM_THE_NAME = {
    "Topic": {"symbol", "interval", "kind", "forbidden", "peers", "_key", "has_more", "leg"},
    "OrderBook": {"category", "symbol", "topic", "depth", "kind_code"},
    "Arbiter": {"_book", "_is_contiguous"},
    "Carrier": {"counts"},  # of the leg
    "Ledger": {"_forbidden", "_symbol_books"},
}
OF_THE_CALL_UNDER_WAY = {
    "OrderBook": {"change"},
    "Arbiter": {"_digest"},
    "Ledger": {"_busy", "_recv_ns", "_leg", "_position"},
    "Legs": {"_frame", "_frame_size", "_is_releasing"},
    "Answered": {"_trade"},
    "Decoded": {
        *("topic", "topic_size", "change", "rpi_change", "trades", "trade_count", "_trade_capacity"),
        *("symbols", "is_snapshot", "ts_ms", "seq", "data", "message", "refusal"),
    },
}
OF_THE_PROCESS = {
    "Ledger": {"listener", "_control"},
    "Calls": {"_listener", "_logged", "_takes_books", "takes_bbos"},
    "TopicTable": {"_slots", "_mask"},
    "Columns": {
        *("recorder", "source", "_tables", "_recent_clocks"),
        *(
            "_delta",
            "_snapshot",
            "_bbo",
            "_trade",
            "_ticker",
            "_kline",
            "_liquidation",
            "_notice",
            "_gap",
            "_event",
        ),
    },
}
# Classes of which a state holds something, and the functions of ext/state.pyx that do it.
SAVED = {
    "OrderBook": "book",
    "BookChange": "change",
    "Splice": "splice",
    "Audit": "audit",
    "Gap": "gap",
    "Hole": "trade_memory",
    "TradeMemory": "trade_memory",
    "KlineMemory": "kline_memory",
    "LegCounts": "leg_counts",
    "Carrier": "carrier",
    "BookCarrier": "book_carrier",
    "Carriers": "carriers",
    "Arbiter": "arbiter",
    "Leader": "leader",
    "TradeLegs": "trade_legs",
    "Topic": "topic",
    "TopicTable": "dispatcher",
    "Calls": "dispatcher",
    "Decoded": "dispatcher",
    "Ledger": "dispatcher",
    "Continuity": "dispatcher",
    "Legs": "dispatcher",
    "Answered": "dispatcher",
    "Dispatcher": "dispatcher",
    "SnapshotClock": "snapshot_clock",
    "Columns": "columns",
}
# What is given when a thing is made anew, as all of a gap is, or by a call of its own.
MADE_WITH = {
    ("Carriers", "carriers"),
    ("TopicTable", "by_name"),
    ("Topic", "name"),
    ("Ledger", "category"),
    ("Ledger", "_topics"),
}
# Structures whose memory is saved as it is: who changes one counts up STATE_FORMAT.
STRUCTURES = {
    "Ladder": ["keys", "sizes", "start", "end", "capacity"],
    "Levels": ["prices", "sizes", "price_scales", "size_scales", "count", "capacity"],
    "Applied": ["update_id", "seq", "digest", "recv_ns", "is_snapshot", "is_known"],
}
# Reached from a dispatcher, with no memory of their own that outlives a call; `Counts` is saved by names.
WITHOUT_STATE = {"Listener", "Control", "Trade", "Decoder", "TradeFields", "Slot", "Counts"}
# Of columns only what lies beside their rows is saved.
OF_THE_ROWS = {"Table", "Recent", "LevelTable", "SnapshotTable", "BboTable", "TradeTable"}
OTHERS = {"ChecksumBook"}  # books that no dispatcher keeps


def declared() -> dict[str, tuple[str, list[tuple[str, str]]]]:
    """Every class of the compiled core: its base, and its attributes as (type, name)."""
    found: dict[str, tuple[str, list[tuple[str, str]]]] = {}
    for path in EXT.glob("*.pxd"):
        for block in re.split(r"^(?=\S)", path.read_text(), flags=re.MULTILINE):
            head = re.match(r"cdef (?:class|struct) (\w+)(?:\((\w+)\))?:", block)
            if head:
                found[head[1]] = (head[2] or "", list(attributes(block)))
    return found


def attributes(block: str) -> Iterator[tuple[str, str]]:
    for line in block.splitlines()[1:]:
        text = line.partition("#")[0].strip().removeprefix("cdef ")
        text = re.sub(r"^(?:readonly|public) ", "", text)
        match = re.fullmatch(r"((?:const |unsigned |long )*[\w.]+(?:\[[^]]*\])*\*?) (\w+)", text)
        if match and match[1] != "inline":
            yield match[1], match[2]


def function(kind: str, name: str) -> str:
    text = (EXT / "state.pyx").read_text()
    match = re.search(
        rf"^cdef [\w ]+ {kind}_{name}\(.*?(?=^(?:cdef|def|# --)|\Z)", text, re.MULTILINE | re.DOTALL
    )
    assert match is not None, f"ext/state.pyx has no function {kind}_{name}"
    return match[0]


@pytest.mark.parametrize("name", sorted(SAVED))
def test_every_attribute_is_in_the_state_or_named_here(name: str) -> None:
    left_out = {
        attribute
        for table in (FOLLOWS_FROM_THE_NAME, OF_THE_CALL_UNDER_WAY, OF_THE_PROCESS)
        for attribute in table.get(name, ())
    }
    _, found = declared()[name]
    names = {attribute for _, attribute in found}
    assert found
    assert left_out <= names, f"{name} has no attribute {left_out - names}"
    saving, loading = function("save", SAVED[name]), function("load", SAVED[name])
    for attribute in names - left_out:
        assert re.search(rf"\.{attribute}\b", saving), f"{name}.{attribute} is not saved"
        if (name, attribute) not in MADE_WITH and name != "Gap":
            assert re.search(rf"\.{attribute}\b", loading), f"{name}.{attribute} is not loaded"


def test_no_class_is_forgotten() -> None:
    """Whatever a dispatcher or columns refer to, by whatever they are derived from."""
    classes = declared()
    waiting, reached = ["Dispatcher", "Columns"], set[str]()
    while waiting:
        name = waiting.pop()
        if name in reached or name not in classes or name in OF_THE_ROWS | OTHERS:
            continue
        reached.add(name)
        base, found = classes[name]
        waiting += [base, *(re.sub(r"[\[*].*", "", kind) for kind, _ in found)]
        waiting += [other for other, (of, _) in classes.items() if of == name and name in SAVED]
    bare = {name for name in reached if not classes[name][1]}
    assert reached - bare - SAVED.keys() - STRUCTURES.keys() - WITHOUT_STATE == set()


@pytest.mark.parametrize("name", sorted(STRUCTURES))
def test_a_structure_that_is_saved_as_it_lies_is_as_it_was(name: str) -> None:
    assert [attribute for _, attribute in declared()[name][1]] == STRUCTURES[name]


def test_the_check_of_attributes_finds_one_that_was_added() -> None:
    assert list(
        attributes("cdef class Hole:\n    cdef:\n        int64_t from_ms\n        dict more  # new\n")
    ) == [
        ("int64_t", "from_ms"),
        ("dict", "more"),
    ]


# -- what may be saved and restored


def test_jumps_that_lost_nothing_are_counted_on() -> None:
    """The 32nd that is confirmed relaxes the rule of its depth, whoever counted the first ones."""
    heard, told = Transcript(), Transcript()
    dispatcher, twin = Dispatcher("linear", heard), Dispatcher("linear", told)
    u, begun = 1, 0
    for number in range(CONFIRMATIONS_MIN):
        dispatcher.feed(snapshot(u), u)
        dispatcher.feed(book_frame("delta", u + 5, [("100", "1")]), u + 5)
        u += 5
        if number == CONFIRMATIONS_MIN - 2:  # a jump that no snapshot has confirmed yet
            restore_dispatcher(twin, dispatcher_state(dispatcher))
            begun = len(heard.lines)
    for frame in (snapshot(u - 5), book_frame("delta", u, [("100", "1")])):
        twin.feed(frame, u - 5 if frame == snapshot(u - 5) else u)
    for one in (dispatcher, twin):
        one.feed(snapshot(u), u + 1)
        one.feed(book_frame("delta", u + 9, [("100", "1")]), u + 9)
        assert one.counters["rules_relaxed"] == 1
    assert told.lines == heard.lines[begun:]
    assert dispatcher_state(twin) == dispatcher_state(dispatcher)


def snapshot(update_id: int) -> bytes:
    return book_frame("snapshot", update_id, [("100", "1")], [("101", "1")])


def test_a_state_is_of_a_dispatcher_between_two_calls_and_for_a_new_one_of_its_category() -> None:
    class Curious(Listener):
        refusal = ""

        def on_trade(self, trade: Trade) -> None:
            try:
                dispatcher_state(dispatcher)
            except RuntimeError as error:
                self.refusal = str(error)

    curious = Curious()
    dispatcher = Dispatcher("linear", curious)
    dispatcher.feed(trade_frame(trade(1, TS_MS)), 5)
    assert "inside its own callback" in curious.refusal
    found = dispatcher_state(dispatcher)
    with pytest.raises(ValueError, match="this one has been fed"):
        restore_dispatcher(dispatcher, found)
    with pytest.raises(ValueError, match="is of category 'linear'; the Dispatcher is of 'spot'"):
        restore_dispatcher(Dispatcher("spot", curious), found)


def test_columns_have_no_state_while_rows_wait() -> None:
    columns = Columns("r1", schema())
    columns.on_event(Event(category="", topic="", kind="k", detail="", recv_ns=1, position=1))
    with pytest.raises(ValueError, match="1 rows were waiting"):
        columns_state(columns)
    columns.clear()
    assert columns_state(columns) == ([], [])


# -- files


def made(segment: int, *, recorder: str = "r1", version: str = "1") -> State:
    position = segment << 32 | 10
    return State.of(
        recorder, segment, position, 5, version, {"playback": (segment, {}), "columns": ["x" * 99]}
    )


def test_a_file_is_read_as_it_was_written_and_says_what_it_is(tmp_path: Path) -> None:
    save(tmp_path, made(7))
    assert load(tmp_path, 7) == made(7)
    assert load(tmp_path, 7).part("playback") == (7, {})
    assert b'"decoder_version":"1"' in state_path(tmp_path, 7).read_bytes().partition(b"\n")[0]
    assert [path.name for path in tmp_path.iterdir()] == ["00000007.state"]


def test_no_byte_of_a_file_can_change_unseen(tmp_path: Path) -> None:
    save(tmp_path, made(7))
    path = state_path(tmp_path, 7)
    data = path.read_bytes()
    for at in range(len(data)):
        path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        with pytest.raises(StateError):
            load(tmp_path, 7)
        path.write_bytes(data[:at])
        with pytest.raises(StateError):
            load(tmp_path, 7)


def test_a_file_under_another_number_is_none(tmp_path: Path) -> None:
    save(tmp_path, made(7))
    state_path(tmp_path, 7).rename(state_path(tmp_path, 8))
    with pytest.raises(StateError, match="is the state after segment 7"):
        load(tmp_path, 8)


def test_nothing_but_plain_values_is_made_of_what_a_file_holds() -> None:
    evil = zstandard.ZstdCompressor().compress(pickle.dumps(getattr))
    with pytest.raises(StateError, match=r"names builtins\.getattr; it holds plain values only"):
        State("r1", 1, 1, 1, "1", {"playback": evil}).part("playback")


def test_the_newest_that_can_be_used_is_taken(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for state in (
        made(3),
        made(4, version="0"),
        made(5),
        made(6),
        made(7, recorder="other"),
        made(8),
        made(9),
    ):
        save(tmp_path, state)
    damaged = state_path(tmp_path, 6)
    damaged.write_bytes(damaged.read_bytes()[:-1])
    with caplog.at_level(logging.WARNING):
        found = [state.segment for state in usable(tmp_path, "r1", "1", 8 << 32 | 9)]
    assert found == [5, 3]
    assert [record.getMessage().partition(" ")[0] for record in caplog.records] == [
        str(state_path(tmp_path, 7)),
        str(state_path(tmp_path, 6)),
    ]
    assert "its part columns is damaged" in caplog.text
    assert "it is of recorder 'other'" in caplog.text


def test_two_and_every_sixteenth_are_kept(tmp_path: Path) -> None:
    for segment in range(10, 40):
        save(tmp_path, made(segment))
        thin(tmp_path)
    assert states(tmp_path) == [16, 32, 38, 39]


def test_states_of_segments_that_are_gone_go_but_the_one_that_leads_to_the_first(tmp_path: Path) -> None:
    for segment in (16, 32, 48, 49):
        save(tmp_path, made(segment))
    for segment in (40, 49, 50):
        segment_path(tmp_path, segment).touch()
    thin(tmp_path)
    assert states(tmp_path) == [32, 48, 49]
    segment_path(tmp_path, 40).unlink()
    thin(tmp_path)
    assert states(tmp_path) == [48, 49]


@pytest.mark.parametrize(
    ("mark", "left"), [(0, []), (2 << 32 | 9, [1]), (2 << 32 | 10, [1, 2]), (9 << 32, [1, 2, 3])]
)
def test_states_beyond_what_is_committed_go(tmp_path: Path, mark: int, left: list[int]) -> None:
    for segment in (1, 2, 3):
        save(tmp_path, made(segment))
    remove_beyond(tmp_path, mark)
    assert states(tmp_path) == left


# -- what a file may hold that is whole and still no state


def spoiled(random: Random, value: Any) -> Any:
    """The same plain values but one, which is another."""
    if isinstance(value, list | tuple) and value and random.random() < 0.97:
        at = random.randrange(len(value))
        changed = [*value[:at], spoiled(random, value[at]), *value[at + 1 :]]
        return type(value)(changed[: len(changed) - (random.random() < 0.02)])
    if isinstance(value, dict) and value and random.random() < 0.9:
        key = random.choice(sorted(value))
        return {**value, key: spoiled(random, value[key])}
    if isinstance(value, bytes) and random.random() < 0.5:
        return value[: random.randint(0, len(value))]
    others: list[Any] = [None, True, -1, 0, 19, 10**5, 2**63, 2**70, "", "x", b"", b"\xff" * 9, (), [], {}]
    return random.choice(others)


@given(seed=st.integers(0, 2**32))
def test_a_state_of_other_values_is_refused_or_harmless(seed: int) -> None:
    random = Random(seed)
    calls = Script(random).calls(300)
    dispatcher = Dispatcher("linear", Listener())
    for call in calls[:200]:
        call.make(dispatcher)
    twin = Dispatcher("linear", Listener())
    try:
        restore_dispatcher(twin, spoiled(random, dispatcher_state(dispatcher)))
    except (LookupError, TypeError, ValueError, OverflowError):
        return
    for call in calls[200:]:
        try:
            call.make(twin)
        except (AttributeError, LookupError, TypeError, ValueError, OverflowError):
            return


def test_no_attribute_of_a_reader_is_forgotten(tmp_path: Path) -> None:
    """Who adds one adds it to `state` and `_restore`, or names it here."""
    playback = Playback(tmp_path, Listener())
    saved = {
        "position",
        "dispatchers",
        "frames",
        "records",
        "_reader",
        "_routes",
        "_wanted",
        "_damage",
        "_unrouted",
    }
    assert set(vars(playback)) == saved | {"_listener", "_on_rest", "on_decided", "_held"}
    assert set(vars(Wanted())) == {"_legs", "_carried_over"}
    assert set(vars(InstrumentRows())) == {"_latest"}
    assert set(vars(TickerRow())) == {"values"}
