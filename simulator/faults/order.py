"""Faults of order and time: frames that are lost, late, doubled, swapped or heaped up."""

from simulator.faults.actions import Timed
from simulator.faults.fault import Fault, Frame, Kind


def drop(fault: Fault, frame: Frame) -> list[Timed]:
    """Leave the frame out."""
    return []


def duplicate(fault: Fault, frame: Frame) -> list[Timed]:
    """Send the frame again and again."""
    return [(0, frame.payload)] * (1 + int(fault.values["copies"]))


def delay(fault: Fault, frame: Frame) -> list[Timed]:
    """Send the frame later; what follows overtakes it."""
    return [(int(fault.values["late_ms"]) * 1_000_000, frame.payload)]


def reorder(fault: Fault, frame: Frame) -> list[Timed]:
    """Hold the frame back until `by` others of its topic have gone."""
    if frame.key not in fault.held:
        if not fault.firing:
            return [(0, frame.payload)]
        fault.held[frame.key] = (frame.payload, int(fault.values["by"]))
        return []
    payload, left = fault.held.pop(frame.key)
    if left > 1:
        fault.held[frame.key] = (payload, left - 1)
        return [(0, frame.payload)]
    return [(0, frame.payload), (0, payload)]


def heap(fault: Fault, frame: Frame) -> list[Timed]:
    """Hold `frames` frames of the topic and send them at once."""
    held = fault.held.get(frame.key)
    if held is None and not fault.firing:
        return [(0, frame.payload)]
    held = fault.held.setdefault(frame.key, [])
    held.append((0, frame.payload))
    if len(held) < int(fault.values["frames"]):
        return []
    return list(fault.held.pop(frame.key))


BOOKS = {"topic": "orderbook.*"}
SNAPSHOT = {"topic": "orderbook.*", "only": "snapshot"}
ENDLESS = {"times": 0}

ORDER: dict[str, Kind] = {
    "drop": Kind("frame", "a frame is left out", drop),
    "drop_run": Kind("frame", "five frames on end are left out", drop, defaults={"times": 5}),
    "duplicate": Kind("frame", "a frame is sent again at once", duplicate, {"copies": 1}),
    "reorder": Kind(
        "frame", "a frame is held back until `by` others of its topic went", reorder, {"by": 1}, watches=True
    ),
    "late": Kind("frame", "a frame is sent `late_ms` later, others overtake it", delay, {"late_ms": 500}),
    "heaped": Kind(
        "frame",
        "so many frames of the topic wait, then go in one write",
        heap,
        {"frames": 20},
        watches=True,
    ),
    "topic_dies": Kind("frame", "a topic stops; pongs and other topics go on", drop, defaults=ENDLESS),
    "all_topics_die": Kind("frame", "no data of any topic; pongs go on", drop, defaults=ENDLESS),
    "snapshot_missing": Kind("frame", "the snapshot is left out, deltas come", drop, defaults=SNAPSHOT),
    "snapshot_late": Kind(
        "frame", "deltas come before the snapshot", delay, {"late_ms": 500}, defaults=SNAPSHOT
    ),
    "snapshot_twice": Kind("frame", "the snapshot comes twice", duplicate, {"copies": 1}, defaults=SNAPSHOT),
    "ack_missing": Kind("frame", "performed, but not acknowledged", drop, defaults={"topic": "subscribe"}),
    "ack_late": Kind(
        "frame",
        "acknowledged `late_ms` later",
        delay,
        {"late_ms": 2_000},
        defaults={"topic": "subscribe"},
    ),
    "ack_twice": Kind(
        "frame", "acknowledged twice", duplicate, {"copies": 1}, defaults={"topic": "subscribe"}
    ),
    "ack_overtaken": Kind(
        "frame",
        "an acknowledgement comes after the next one",
        reorder,
        {"by": 1},
        defaults={"topic": "subscribe"},
        watches=True,
    ),
    "unsubscribe_ack_missing": Kind(
        "frame", "unsubscribed, but not acknowledged", drop, defaults={"topic": "unsubscribe"}
    ),
    "pong_missing": Kind("frame", "pings are not answered", drop, defaults={"topic": "ping", **ENDLESS}),
    "pong_late": Kind(
        "frame", "a ping is answered `late_ms` later", delay, {"late_ms": 8_000}, defaults={"topic": "ping"}
    ),
}
