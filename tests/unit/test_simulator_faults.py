"""The fault plan by itself: when a fault happens, what it makes of a frame, and what a script may say."""

import json
from pathlib import Path
from typing import Any

import orjson
import pytest

from simulator.errors import SimulatorError
from simulator.faults import KINDS, Change, Close, Fragments, Peer, Plan, Refusal, Verdict, read_script

MS = 1_000_000
ONE, TWO = Peer(1, "linear"), Peer(2, "spot", "b", 500 * MS)
TOPIC = "orderbook.50.BTCUSDT"


def frame(u: int, kind: str = "delta") -> bytes:
    data = {
        "s": "BTCUSDT",
        "b": [["100.20", "3"], ["100.10", "0"]],
        "a": [["100.30", "2"]],
        "u": u,
        "seq": u * 10,
    }
    return orjson.dumps({"topic": TOPIC, "type": kind, "ts": 1000 + u, "data": data, "cts": 999 + u})


TRADES = orjson.dumps(
    {
        "topic": "publicTrade.BTCUSDT",
        "type": "snapshot",
        "ts": 1000,
        "data": [{"T": 999, "s": "BTCUSDT", "i": str(i), "p": "1", "v": "1", "seq": i} for i in range(2)],
    }
)


def sent(plan: Plan, frames: int = 6, peer: Peer = ONE, topic: str = TOPIC) -> list[Any]:
    """Return what becomes of some deltas: the u of those that are intact, others as they are."""
    found: list[Any] = []
    for u in range(1, frames + 1):
        for delay_ns, item in plan.outgoing(peer, topic, frame(u), u * MS):
            number = orjson.loads(item)["data"]["u"] if isinstance(item, bytes) else item
            found.append((delay_ns // MS, number) if delay_ns else number)
    return found


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({"fault": "drop", "frame": 3}, [1, 2, 4, 5, 6]),
        ({"fault": "drop"}, [2, 3, 4, 5, 6]),
        ({"fault": "drop", "every": 2}, [1, 3, 5]),
        ({"fault": "drop", "every": 2, "times": 2}, [1, 3, 5, 6]),
        ({"fault": "drop", "at_ms": 3, "times": 2}, [1, 2, 5, 6]),
        ({"fault": "drop", "at_ms": 2, "for_ms": 3}, [1, 5, 6]),
        ({"fault": "drop", "topic": "publicTrade.*"}, [1, 2, 3, 4, 5, 6]),
        ({"fault": "drop", "category": "spot"}, [1, 2, 3, 4, 5, 6]),
        ({"fault": "drop", "gateway": "b"}, [1, 2, 3, 4, 5, 6]),
        ({"fault": "duplicate", "frame": 2, "copies": 2}, [1, 2, 2, 2, 3, 4, 5, 6]),
        ({"fault": "reorder", "frame": 2}, [1, 3, 2, 4, 5, 6]),
        ({"fault": "reorder", "frame": 2, "by": 3}, [1, 3, 4, 5, 2, 6]),
        ({"fault": "late", "frame": 4, "late_ms": 7}, [1, 2, 3, (7, 4), 5, 6]),
        ({"fault": "heaped", "frame": 2, "frames": 4}, [1, 2, 3, 4, 5, 6]),
        ({"fault": "topic_dies", "at_ms": 4}, [1, 2, 3]),
        ({"fault": "u_ahead", "frame": 2}, [1, 9, 3, 4, 5, 6]),
        ({"fault": "delta_u1", "frame": 4}, [1, 2, 3, 1, 5, 6]),
        ({"fault": "u_repeated", "frame": 4}, [1, 2, 3, 3, 5, 6]),
        ({"fault": "close_1011", "frame": 2}, [1, 2, Close(1011), 3, 4, 5, 6]),
    ],
)
def test_when_and_what(entry: dict[str, Any], expected: list[Any]) -> None:
    assert sent(Plan([entry])) == expected


def test_heaped_frames_wait_for_each_other() -> None:
    plan = Plan([{"fault": "heaped", "frame": 2, "frames": 3}])
    assert [len(plan.outgoing(ONE, TOPIC, frame(u), 0)) for u in range(1, 6)] == [1, 0, 0, 3, 1]


def test_frames_of_each_topic_and_connection_are_counted_alone() -> None:
    plan = Plan([{"fault": "drop", "frame": 2, "times": 3}])
    assert sent(plan, 3) == [1, 3]
    assert sent(plan, 3, TWO) == [1, 3]
    assert sent(plan, 3, ONE, "orderbook.1.BTCUSDT") == [1, 3]
    assert sent(plan, 3, TWO, "orderbook.1.BTCUSDT") == [1, 2, 3]
    assert [(one["connection"], one["frame"], one["u"]) for one in plan.log] == [
        (1, 2, 2),
        (2, 2, 2),
        (1, 2, 2),
    ]


def test_the_same_seed_gives_the_same_faults() -> None:
    def run(seed: int) -> list[Any]:
        return sent(Plan([{"fault": "drop", "chance": 0.3}], seed=seed), 200)

    assert run(7) == run(7)
    assert run(7) != run(8)
    assert 100 < len(run(7)) < 180


def content(name: str, payload: bytes, **values: Any) -> Any:
    """Return the one item that a fault makes of a frame, decoded where it is JSON."""
    topic = orjson.loads(payload)["topic"]
    ((_, item),) = Plan([{"fault": name, "topic": "*", **values}]).outgoing(ONE, topic, payload, 0)
    try:
        return orjson.loads(item) if isinstance(item, bytes) else item
    except orjson.JSONDecodeError:
        return item


def test_content_of_books() -> None:
    assert content("crossed_book", frame(5))["data"]["b"][0][0] == "200.60"
    assert content("level_too_many", frame(5))["data"]["a"][-1] == ["200.60", "1"]
    assert content("delete_absent", frame(5))["data"]["a"][-1] == ["200.60", "0"]
    assert content("empty_side", frame(5, "snapshot"), side="b")["data"]["b"] == []
    assert content("unsorted_levels", frame(5))["data"]["b"][0] == ["100.10", "0"]
    assert content("off_grid_price", frame(5))["data"]["b"][0][0] == "100.200001"
    assert content("changed_digit", frame(5))["data"]["b"][0] == ["100.20", "1"]
    assert content("exponent_price", frame(5))["data"]["b"][0][0] == "1.0020e+2"
    assert content("seq_behind", frame(5), by=7)["data"]["seq"] == 43
    assert content("clock_jump", frame(5), by_ms=-100)["ts"] == 905
    assert content("gateway_u", frame(5))["data"]["u"] == 1_000_005
    assert content("fragmented", frame(5)) == Fragments(frame(5), 3)
    assert content("unknown_topic", frame(5))["topic"] == "sparkle.50.BTCUSDT"


def test_damaged_frames_are_no_json() -> None:
    for name in ("truncated", "invalid_utf8", "trailing_bytes", "empty_frame", "deep_nesting"):
        assert isinstance(content(name, frame(5)), bytes), name
    assert b'"ts":1.005000e+03' in content_bytes("exponent_number")
    assert b'"ts":1' + b"0" * 30 in content_bytes("huge_number")
    assert len(content_bytes("oversize", bytes=5_000)) == 5_000
    with pytest.raises(UnicodeDecodeError):
        content_bytes("invalid_utf8").decode()


def content_bytes(name: str, **values: Any) -> bytes:
    ((_, item),) = Plan([{"fault": name, **values}]).outgoing(ONE, TOPIC, frame(5), 0)
    assert isinstance(item, bytes)
    return item


def test_content_of_trades() -> None:
    assert [one["i"] for one in content("trade_repeated", TRADES)["data"]] == ["0", "1", "1"]
    assert [one["i"] for one in content("trades_disordered", TRADES)["data"]] == ["1", "0"]
    assert content("trade_from_the_past", TRADES)["data"][0]["T"] == 999 - 60_000


def test_a_fault_that_cannot_happen_is_not_spent() -> None:
    plan = Plan([{"fault": "trades_disordered"}])
    single = orjson.dumps({"topic": "publicTrade.BTCUSDT", "data": [{"T": 1}]})
    assert plan.outgoing(ONE, "publicTrade.BTCUSDT", single, 0) == [(0, single)]
    assert not plan.log
    assert plan.outgoing(ONE, "publicTrade.BTCUSDT", TRADES, 0) != [(0, TRADES)]
    assert [one["fault"] for one in plan.log] == ["trades_disordered"]


def test_every_fault_of_frames_happens_to_some_frame() -> None:
    for name, kind in KINDS.items():
        if kind.scope != "frame":
            continue
        plan = Plan([{"fault": name, "topic": "*"}])
        control = orjson.dumps(
            {"success": True, "ret_msg": "", "conn_id": "c", "req_id": "", "op": "subscribe"}
        )
        for payload in (frame(3, "snapshot"), frame(4), frame(5), TRADES, control):
            topic = orjson.loads(payload).get("topic", "subscribe")
            plan.outgoing(ONE, topic, payload, 0)
        assert plan.log, name


def test_links_fall_due_by_time() -> None:
    plan = Plan([{"fault": "close_1001", "at_ms": 10, "connection": 1}, {"fault": "day_cut", "age_ms": 20}])
    assert plan.next_ns() > 1 << 61
    plan.opened(ONE)
    plan.opened(TWO)
    assert plan.next_ns() == 10 * MS
    assert plan.due_links(9 * MS) == []
    assert [(peer.number, item) for peer, item in plan.due_links(10 * MS)] == [(1, Close(1001))]
    assert [peer.number for peer, _ in plan.due_links(20 * MS)] == [1]
    assert plan.next_ns() == 520 * MS
    plan.closed(TWO)
    assert plan.due_links(900 * MS) == []


def test_a_link_fault_comes_back() -> None:
    plan = Plan([{"fault": "reset", "at_ms": 5, "every_ms": 10, "times": 3}])
    plan.opened(ONE)
    assert [at for at in range(100) if plan.due_links(at * MS)] == [5, 15, 25]


def test_requests_and_handshakes() -> None:
    plan = Plan([{"fault": "request_refused", "topic": "tickers.*"}, {"fault": "handshake_403", "frame": 2}])
    request = {"op": "subscribe", "args": [TOPIC]}
    assert plan.incoming(ONE, request, 0) is None
    assert plan.incoming(ONE, {"op": "ping"}, 0) is None
    assert plan.incoming(ONE, {**request, "args": ["tickers.X"]}, 0) == Verdict(refused="args size >10")
    assert plan.incoming(ONE, {**request, "args": ["tickers.X"]}, 0) is None
    assert [plan.handshake(ONE, 0) for _ in range(3)] == [None, Refusal(403), None]


def test_markets_and_rest() -> None:
    market = {"category": "linear", "symbol": "BTCUSDT"}
    plan = Plan([{"fault": "u_jump", "at_ms": 3, **market}, {"fault": "rest_503", "path": "*/kline"}])
    assert plan.next_ns() == 3 * MS
    assert plan.due_changes(2 * MS) == []
    assert plan.due_changes(3 * MS) == [Change("u_jump", "linear", "BTCUSDT", {"by": 1000})]
    assert plan.due_changes(4 * MS) == []
    assert plan.answer("/v5/market/time", {}, 0) == []
    assert [one.status for one in plan.answer("/v5/market/kline", market, 0)] == [503]
    assert [one["fault"] for one in plan.log] == ["u_jump", "rest_503"]


def test_a_stale_answer_is_the_first_one_again() -> None:
    plan = Plan([{"fault": "rest_stale"}])
    answers = []
    for u in (1, 2, 3):
        (fault,) = plan.answer("/v5/market/orderbook", {"symbol": "X"}, 0)
        assert fault.rewrite is not None
        answers.append(fault.rewrite({"u": u})["u"])
    assert answers == [1, 1, 3]


def test_what_is_forgotten_with_a_connection() -> None:
    plan = Plan([{"fault": "reorder", "frame": 1}, {"fault": "topic_dies", "topic": "no.such"}])
    plan.opened(ONE)
    assert sent(plan, 1) == []
    plan.closed(ONE)
    assert all(not fault.seen and not fault.held for fault in plan.faults)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"fault": "dropp"}, "entry 1: fault was 'dropp', which is none; did you mean 'drop'"),
        ({"fault": "drop", "fram": 3}, "entry 1: drop has no 'fram'"),
        ({"fault": "drop", "frame": "3"}, "entry 1: frame was '3'; it is a number"),
        ({"fault": "drop", "frame": True}, "entry 1: frame was True; it is a number"),
        ({"fault": "drop", "topic": 3}, "entry 1: topic was 3; it is a text"),
        ({"fault": "drop", "frame": -1}, "entry 1: frame was -1; it is 0 or more"),
        ({"fault": "drop", "chance": 1.5}, "entry 1: chance was 1.5; it is a number from 0 to 1"),
        ({"fault": "restart"}, "entry 1: restart is about one market; name its category and symbol"),
    ],
)
def test_a_bad_entry_is_named(entry: dict[str, Any], message: str) -> None:
    with pytest.raises(SimulatorError) as error:
        Plan([entry])
    assert message in str(error.value)


def test_scripts_as_files(tmp_path: Path) -> None:
    as_json, as_toml = tmp_path / "one.json", tmp_path / "two.toml"
    as_json.write_text(json.dumps([{"fault": "drop", "frame": 3}]))
    as_toml.write_text('[[faults]]\nfault = "drop"\nframe = 3\n')
    assert read_script(as_json) == read_script(as_toml) == [{"fault": "drop", "frame": 3}]
    as_json.write_text("{")
    with pytest.raises(SimulatorError, match="neither JSON"):
        read_script(as_json)
    with pytest.raises(SimulatorError, match="cannot be read"):
        read_script(tmp_path / "none.json")


def test_the_documentation_has_every_fault() -> None:
    text = (Path(__file__).parents[2] / "docs" / "simulator.md").read_text()
    assert [name for name, kind in KINDS.items() if f"| `{name}` | {kind.does} |" not in text] == []
    assert len(KINDS) > 60
