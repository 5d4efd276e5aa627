"""The structural differ sees order, types and keys, and nothing else."""

import json
from pathlib import Path
from typing import Any

import pytest

from simulator.differ import compare, differences, kind, main

FRAME: dict[str, Any] = {
    "topic": "orderbook.50.BTCUSDT",
    "type": "delta",
    "ts": 1,
    "data": {"s": "BTCUSDT", "b": [["1.0", "2"]], "a": [], "u": 1, "seq": 2},
    "cts": 1,
}


def changed(**changes: Any) -> dict[str, Any]:
    return {**FRAME, **changes}


def test_values_do_not_matter() -> None:
    other = changed(ts=5, data={"s": "X", "b": [], "a": [["3", "4"], ["5", "6"]], "u": 7, "seq": 8})
    assert differences(FRAME, other) == []


@pytest.mark.parametrize(
    ("actual", "told"),
    [
        (
            {key: FRAME[key] for key in ("topic", "ts", "type", "data", "cts")},
            "frame: expected keys in the order",
        ),
        (changed(ts="1"), "frame.ts: expected integer, was string"),
        (changed(ts=1.5), "frame.ts: expected integer, was number"),
        (changed(extra=1), "frame.extra: not expected"),
        ({key: value for key, value in FRAME.items() if key != "cts"}, "frame.cts: missing"),
        (
            changed(data={**FRAME["data"], "b": [["1", 2.0]]}),
            "frame.data.b[0][1]: expected string, was number",
        ),
        (changed(data={**FRAME["data"], "b": [["1"]]}), "frame.data.b[0]: expected 2 elements, was 1"),
        (changed(data=[FRAME["data"]]), "frame.data: expected object, was array"),
    ],
)
def test_a_difference_is_told(actual: dict[str, Any], told: str) -> None:
    found = compare([FRAME], [actual])
    assert any(line.startswith(told) for lines in found.values() for line in lines), found


def test_ticker_data_may_lack_fields_but_not_reorder_them() -> None:
    full = {
        "topic": "tickers.X",
        "type": "snapshot",
        "data": {"symbol": "X", "a": "1", "b": "2"},
        "cs": 1,
        "ts": 1,
    }
    delta = {**full, "type": "delta", "data": {"symbol": "X", "b": "3"}}
    assert compare([full], [delta]) == {"tickers": []}
    assert compare([full], [{**delta, "data": {"b": "3", "symbol": "X"}}])["tickers"]
    assert compare([full], [{**delta, "data": {"symbol": "X", "c": "3"}}])["tickers"]


def test_kinds() -> None:
    assert kind(FRAME) == "orderbook.N delta"
    assert kind({"topic": "orderbook.1.X", "type": "snapshot"}) == "orderbook.1 snapshot"
    assert kind({"success": False, "op": "subscribe"}) == "subscribe refused"
    assert kind({"success": True, "op": "ping"}) == "ping answered"


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    expected, same, other = tmp_path / "expected", tmp_path / "same", tmp_path / "other"
    expected.write_text(json.dumps({"path": "/v5/public/linear", "frame": FRAME}) + "\n")
    same.write_text(f"17 {json.dumps(changed(ts=3))}\n18 2 {json.dumps(FRAME)}\n")
    other.write_text(json.dumps(changed(ts="3")))
    assert main([str(expected), str(same), "--category", "linear"]) == 0
    assert "same structure" in capsys.readouterr().out
    assert main([str(expected), str(other)]) == 1
    assert "frame.ts: expected integer, was string" in capsys.readouterr().out
    assert main([str(expected), str(tmp_path / "absent")]) == 2
