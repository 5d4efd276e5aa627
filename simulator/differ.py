"""Compare the structure of frames: envelope, key order, JSON types. `python -m simulator.differ A B`.

The frames of file B are held against those of file A, kind by kind. A line may be a frame alone, a frame
after `<recv_ns> ` or `<send_ns> <connection> `, or a fixture `{"path": ..., "frame": {...}}`.
"""

import argparse
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from simulator.errors import SimulatorError
from simulator.instruments import CATEGORIES

PARTIAL = "tickers"
"""Topics whose data may lack fields: a delta has only what changed."""
OPTIONAL = "req_id"
"""Echoed on spot only where the request had one."""


def differences(expected: Any, actual: Any, path: str = "frame", partial: bool = False) -> list[str]:
    """Return how the structure of `actual` departs from `expected`; values do not matter.

    Lists of objects or lists are compared element by element with the first expected element; an expected
    empty list accepts all. Where `partial`, keys may be missing, but none may be new or in another order.
    """
    if _type(expected) != _type(actual):
        return [f"{path}: expected {_type(expected)}, was {_type(actual)} ({json.dumps(actual)[:60]})"]
    if isinstance(expected, dict):
        return _object_differences(expected, actual, path, partial)
    if isinstance(expected, list) and expected:
        if isinstance(expected[0], dict | list):
            pairs = [(expected[0], one) for one in actual]
        elif len(expected) != len(actual):
            return [f"{path}: expected {len(expected)} elements, was {len(actual)}"]
        else:
            pairs = list(zip(expected, actual, strict=True))
        return [line for i, (a, b) in enumerate(pairs) for line in differences(a, b, f"{path}[{i}]", partial)]
    return []


def _object_differences(
    expected: dict[str, Any], actual: dict[str, Any], path: str, partial: bool
) -> list[str]:
    found = [f"{path}.{key}: not expected" for key in actual if key not in expected and key != OPTIONAL]
    if not partial:
        found += [f"{path}.{key}: missing" for key in expected if key not in actual and key != OPTIONAL]
    order = [key for key in expected if key in actual]
    was = [key for key in actual if key in expected]
    if order != was:
        found.append(f"{path}: expected keys in the order {', '.join(order)}; was {', '.join(was)}")
    for key in was:
        inner = partial or (key == "data" and str(expected.get("topic", "")).startswith(PARTIAL + "."))
        found += differences(expected[key], actual[key], f"{path}.{key}", inner)
    return found


def _type(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    names = {
        str: "string",
        int: "integer",
        float: "number",
        dict: "object",
        list: "array",
        type(None): "null",
    }
    return names[type(value)]


def kind(frame: dict[str, Any]) -> str:
    """Return what a frame is: topic and type of a data frame, op and outcome of a control frame."""
    topic = frame.get("topic")
    if not isinstance(topic, str):
        return f"{frame.get('op', 'no op')} {'refused' if frame.get('success') is False else 'answered'}"
    name, *rest = topic.split(".")
    if name == "orderbook":
        name += {"1": ".1", "rpi": ".rpi", "full": ".full"}.get(rest[0], ".N")
    return name if name == PARTIAL else f"{name} {frame.get('type', '')}".strip()


def compare(expected: Iterable[dict[str, Any]], actual: Iterable[dict[str, Any]]) -> dict[str, list[str]]:
    """Return, for each kind that both sides have, how the actual frames differ from the expected.

    A frame is held against the expected frame that it is nearest to; each difference is told once.
    """
    references = _examples(expected)
    found: dict[str, dict[str, None]] = {}
    for name, examples in _examples(actual).items():
        for frame in examples if name in references else ():
            nearest = min((differences(one, frame) for one in references[name]), key=len)
            found.setdefault(name, {}).update(dict.fromkeys(nearest))
    return {name: list(lines) for name, lines in found.items()}


def _examples(frames: Iterable[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Return, for each kind, one frame of each structure that occurs: a few of thousands."""
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for frame in frames:
        found.setdefault(kind(frame), {}).setdefault(_structure(frame), frame)
    return {name: list(examples.values()) for name, examples in found.items()}


def _structure(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ",".join(f"{key}:{_structure(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        elements = [_structure(inner) for inner in value]
        nested = bool(value) and isinstance(value[0], dict | list)
        return "[" + ",".join(dict.fromkeys(elements) if nested else elements) + "]"
    return _type(value)


def read_frames(path: Path, category: str | None = None) -> Iterator[dict[str, Any]]:
    """Yield the frames of a file; of fixtures only those of a category's public path, where one is given."""
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        if not line.strip():
            continue
        try:
            value = json.loads(line[line.index("{") :])
        except ValueError as error:
            raise SimulatorError(f"{path} line {number} holds no JSON object") from error
        if "frame" not in value:
            yield value
        elif category is None or value["path"] == f"/v5/public/{category}":
            yield value["frame"]


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return 0 where the structures agree, 1 where they differ, 2 for a bad file."""
    options = argparse.ArgumentParser(
        "simulator.differ", description="Compare the structure of two files of frames."
    )
    options.add_argument("expected", type=Path)
    options.add_argument("actual", type=Path)
    options.add_argument("--category", choices=CATEGORIES, help="which path's fixtures to use")
    given = options.parse_args(arguments)
    try:
        expected = list(read_frames(given.expected, given.category))
        actual = list(read_frames(given.actual, given.category))
    except (SimulatorError, OSError) as error:
        sys.stderr.write(f"differ: {error}\n")
        return 2
    report = compare(expected, actual)
    for name, lines in sorted(report.items()):
        sys.stdout.write(
            f"{name}: {'same structure' if not lines else ''}\n" + "".join(f"  {one}\n" for one in lines)
        )
    for name in sorted({kind(frame) for frame in actual} - report.keys()):
        sys.stdout.write(f"{name}: only in {given.actual}\n")
    return int(any(report.values()))


if __name__ == "__main__":
    sys.exit(main())
