"""What exports compute of arrays, and the folder they write."""

import csv
import json
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import ConfigError, UsageError
from recorder.export.folder import MANIFEST, Written, export_folder
from recorder.export.hftbacktest import BOTH, EVENT, EXCH, LOCAL, POWERS, in_order
from recorder.export.nautilus import fixed
from recorder.export.request import parse_bound
from recorder.export.tardis import _as_csv
from recorder.spool.lock import FolderInUseError

INT64 = st.integers(-(2**63) + 1, 2**63 - 1)


@given(st.lists(st.tuples(INT64, st.integers(0, 16)), max_size=20))
def test_values_of_128_bits_are_exact(values: list[tuple[int, int]]) -> None:
    mantissa = np.array([value for value, _ in values], np.int64)
    scale = np.array([digits for _, digits in values], np.uint8)
    found = [int.from_bytes(value, "little", signed=True) for value in fixed(mantissa, scale).to_pylist()]
    assert found == [value * 10 ** (16 - digits) for value, digits in values]


@given(st.lists(st.lists(st.text(st.sampled_from('a,"=1')), min_size=2, max_size=2), min_size=1))
def test_fields_with_commas_and_quotes_stay_fields(rows: list[list[str]]) -> None:
    text = "".join("\t".join(row) + "\n" for row in rows).encode()
    assert list(csv.reader(_as_csv(text).decode().splitlines())) == rows


@given(st.lists(st.integers(0, 12), max_size=40))
def test_events_are_in_order_of_both_clocks(exchange: list[int]) -> None:
    events = np.zeros(len(exchange), EVENT)
    events["exch_ts"] = exchange
    events["local_ts"] = np.arange(len(exchange))
    events["px"] = np.arange(len(exchange))
    ordered = in_order(events.copy())
    for flag, clock in ((EXCH, "exch_ts"), (LOCAL, "local_ts")):
        told = ordered[ordered["ev"] & np.uint64(flag) > 0]
        assert (np.diff(told[clock]) >= 0).all()
        assert sorted(told["px"]) == list(events["px"])
    twice = len(ordered) - len(events)
    assert (ordered["ev"] == BOTH).sum() == len(events) - twice
    if exchange == sorted(exchange):
        assert twice == 0


def put(folder: Path, text: str, state: int, *, key: str = "b") -> tuple[int, int]:
    """Export one file of one line; returns how many were written and kept."""

    def write(draft: Path) -> Written:
        draft.write_text(text)
        return Written(f"a/{key}.txt", 1)

    with export_folder(folder, {"format": "test"}) as export:
        export.put(key, [state], write)
        export.finish({})
        return export.written, export.kept


def test_a_file_is_written_anew_when_its_state_has_changed(tmp_path: Path) -> None:
    assert put(tmp_path / "out", "one", 1) == (1, 0)
    assert put(tmp_path / "out", "two", 1) == (0, 1)
    assert put(tmp_path / "out", "three", 2) == (1, 0)
    assert (tmp_path / "out" / "a" / "b.txt").read_text() == "three"
    (tmp_path / "out" / "a" / "b.txt").write_text("torn")
    assert put(tmp_path / "out", "three", 2) == (1, 0)
    assert put(tmp_path / "out", "other", 1, key="c") == (1, 0)
    assert not (tmp_path / "out" / "a" / "b.txt").exists()


def test_a_torn_line_of_the_progress_is_left_out(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with export_folder(out, {"format": "test"}) as export:  # and not finished
        export.put("b", [1], lambda draft: (draft.write_text("x"), Written("b", 1))[1])
    progress = out / ".partial" / "files.jsonl"
    whole = progress.read_bytes()
    for end in range(whole.index(b"\n") + 1, len(whole)):
        progress.write_bytes(whole[:end])
        with export_folder(out, {"format": "test"}) as export:
            export.put("b", [1], lambda draft: (draft.write_text("y"), Written("b", 1))[1])
            assert export.written == 1
    progress.write_bytes(whole)
    with export_folder(out, {"format": "test"}) as export:
        export.put("b", [1], lambda draft: (draft.write_text("y"), Written("b", 1))[1])
        assert export.kept == 1


def test_one_process_writes_a_folder(tmp_path: Path) -> None:
    first = export_folder(tmp_path, {"format": "test"})
    with first, pytest.raises(FolderInUseError, match="is in use by process"):
        put(tmp_path, "x", 1)


@pytest.mark.parametrize("text", ["[]", "{}", "no", '{"format": 99, "export": {}}'])
def test_a_manifest_of_something_else_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / MANIFEST).write_text(text)
    with pytest.raises(UsageError, match="give a new folder"):
        put(tmp_path, "x", 1)
    assert (tmp_path / MANIFEST).read_text() == text
    assert [path.name for path in tmp_path.iterdir()] == [MANIFEST]


def test_the_manifest_is_there_last(tmp_path: Path) -> None:
    put(tmp_path, "x", 1)
    manifest = json.loads((tmp_path / MANIFEST).read_text())
    assert [entry["path"] for entry in manifest["files"]] == ["a/b.txt"]
    assert not (tmp_path / ".partial").exists()


def test_bounds_are_times() -> None:
    assert parse_bound("--from", "") is None
    assert parse_bound("--from", "2026-01-31T00:00Z") == 1_769_817_600_000_000_000
    assert parse_bound("--to", "1769817600000000001") == 1_769_817_600_000_000_001
    for text in ("12:34", "yesterday", "2026-01-31T00:00"):
        with pytest.raises(ConfigError, match="--to was"):
            parse_bound("--to", text)


def test_prices_of_events_are_the_nearest_floats() -> None:
    for text in ("0.1", "10.05", "64123.45", "0.00001234", "123456789.123"):
        value = Decimal(text)
        scale = -int(value.as_tuple().exponent)
        assert int(value.scaleb(scale)) / POWERS[scale] == float(text)
