"""What goes wrong with orders: answers that get lost, orders that are accepted late, streams that lag."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from simulator.faults.fault import Fault, Kind
from simulator.faults.script import check_entries

LOG_MAX = 100_000


@dataclass(frozen=True, slots=True)
class Fate:
    """What becomes of a request.

    `performs`: now, late, never, or `placed_late`: checked and acknowledged now, in no book before.
    `answers`: now, late, never, or cut: the connection ends instead. A `code` or an HTTP `status` is answered
    in place of the result. `fills_first`: what is to be cancelled fills just before.
    """

    name: str = ""
    performs: str = "now"
    answers: str = "now"
    code: int = 0
    status: int = 0
    late_ms: int = 0
    fills_first: bool = False


NORMAL = Fate()


def _fate(**values: Any) -> Callable[[Fault, Any], Fate]:
    return lambda fault, _: replace(Fate(fault.name, **values), **fault.values)


def _late(fault: Fault, _: Any) -> int:
    return int(fault.values["late_ms"])


ORDERS = {"path": "*order/*"}
CREATES = {"path": "*order/create"}
UNKNOWN_CODE = {"code": 10016}

FAULTS: dict[str, Kind] = {
    "ack_lost": Kind("request", "performed, never answered", _fate(answers="never"), {}, ORDERS),
    "request_lost": Kind(
        "request", "neither performed nor answered", _fate(performs="never", answers="never"), {}, ORDERS
    ),
    "fill_before_ack": Kind(
        "request",
        "performed at once, answered `late_ms` later: streams come before the answer",
        _fate(answers="late"),
        {"late_ms": 500},
        ORDERS,
    ),
    "accepted_late": Kind(
        "request",
        "never answered and performed `late_ms` later; until then queries find nothing",
        _fate(performs="late", answers="never"),
        {"late_ms": 1_500},
        CREATES,
    ),
    "accepted_late_error": Kind(
        "request",
        "answered with `code`, and performed `late_ms` later all the same",
        _fate(performs="late"),
        {"late_ms": 1_500, **UNKNOWN_CODE},
        CREATES,
    ),
    "placed_late": Kind(
        "request",
        "acknowledged, but in no book and no query before `late_ms` have passed",
        _fate(performs="placed_late"),
        {"late_ms": 500},
        CREATES,
    ),
    "error_after": Kind("request", "performed, answered with `code`", _fate(), UNKNOWN_CODE, ORDERS),
    "error_before": Kind(
        "request", "not performed, answered with `code`", _fate(performs="never"), UNKNOWN_CODE, ORDERS
    ),
    "http_after": Kind(
        "request", "performed, answered with HTTP `status` (socket: cut)", _fate(), {"status": 502}, ORDERS
    ),
    "http_before": Kind(
        "request",
        "not performed, answered with HTTP `status` (socket: cut)",
        _fate(performs="never"),
        {"status": 502},
        ORDERS,
    ),
    "cut_after": Kind("request", "performed, then the connection ends", _fate(answers="cut"), {}, ORDERS),
    "cut_before": Kind(
        "request",
        "the connection ends, nothing is performed",
        _fate(performs="never", answers="cut"),
        {},
        ORDERS,
    ),
    "raced_cancel": Kind(
        "request",
        "what is to be cancelled fills just before; the cancel is acknowledged",
        _fate(fills_first=True),
        {},
        {"path": "*order/cancel"},
    ),
    "stream_late": Kind(
        "stream", "frames of private streams come `late_ms` later", _late, {"late_ms": 500}, {"topic": "*"}
    ),
    "stream_again": Kind(
        "stream", "a frame comes once more, `late_ms` later", _late, {"late_ms": 1_000}, {"topic": "*"}
    ),
    "stream_lost": Kind("stream", "frames of private streams are lost", lambda _f, _s: 0, {}, {"topic": "*"}),
}
"""Every fault of the exchange by name."""


class OrderFaults:
    """The armed faults of the exchange. The same script, seed and questions give the same answers."""

    def __init__(self, seed: int = 1) -> None:
        self.log: deque[dict[str, Any]] = deque(maxlen=LOG_MAX)
        self._faults: list[Fault] = []
        self._seed = seed
        self._armed = 0

    def arm(self, script: Any, now_ns: int) -> None:
        """Add the faults of a script; raise SimulatorError and add none where one of them is wrong."""
        for entry in check_entries(script, FAULTS):
            self._armed += 1
            random = Random(f"{self._seed}:exchange:{self._armed}")  # noqa: S311 (a test's dice, not a secret)
            self._faults.append(Fault(entry["fault"], FAULTS[entry["fault"]], entry, random, now_ns))

    def clear(self) -> None:
        """Disarm everything."""
        self._faults.clear()

    def armed(self) -> list[dict[str, Any]]:
        """Return the entries that are armed, each with how often it fired."""
        return [{**one.entry, "fired": one.fired, "spent": one.spent} for one in self._faults]

    def fate(self, path: str, body: dict[str, Any], now_ns: int) -> Fate:
        """Return what becomes of a request."""
        about = {name: str(body.get(name, "")) for name in ("category", "symbol")}
        for fault in self._faults:
            if (
                fault.kind.scope == "request"
                and fault.concerns_path(path, about)
                and fault.is_due(path, now_ns)
            ):
                self._fired(fault, now_ns, path=path, orderLinkId=str(body.get("orderLinkId", "")))
                fate: Fate = fault.kind.apply(fault, None)
                return fate
        return NORMAL

    def streamed(self, topic: str, now_ns: int) -> list[int]:
        """Return when a frame goes out, in ms from now: once at once where nothing is wrong."""
        delays = [0]
        for fault in self._faults:
            if fault.kind.scope == "stream" and fault.concerns_topic(topic) and fault.is_due(topic, now_ns):
                self._fired(fault, now_ns, topic=topic)
                late_ms: int = fault.kind.apply(fault, None)
                if fault.name == "stream_lost":
                    delays = []
                elif fault.name == "stream_late":
                    delays = [one + late_ms for one in delays]
                else:
                    delays = [*delays, late_ms]
        return delays

    def _fired(self, fault: Fault, now_ns: int, **to: str) -> None:
        fault.fired += 1
        self.log.append({"at_ns": now_ns, "fault": fault.name, **to})


def describe() -> str:
    """Return one line a fault."""
    lines = []
    for name, kind in FAULTS.items():
        values = " ".join(f"{key}={value}" for key, value in {**kind.defaults, **kind.values}.items())
        lines.append(f"{name} (exchange) {values} - {kind.does}")
    return "\n".join(lines)
