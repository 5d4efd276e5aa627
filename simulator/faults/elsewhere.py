"""Faults of connections, requests, handshakes, REST answers and the market itself."""

from typing import Any

from simulator.faults.actions import (
    Change,
    Close,
    Cut,
    Item,
    Mute,
    Peer,
    Ping,
    Refusal,
    Reset,
    RestFault,
    Shape,
    Verdict,
)
from simulator.faults.fault import Fault, Kind

ENDLESS = {"times": 0}


def _link(does: str, item: Item, **defaults: Any) -> Kind:
    return Kind("link", does, lambda _fault, _peer: item, defaults=defaults)


def _frozen(fault: Fault, _peer: Peer) -> Shape:
    return Shape(blocked_ns=int(fault.values["ms"]) * 1_000_000)


def _shape(fault: Fault, _peer: Peer) -> Shape:
    values = fault.values
    return Shape(
        latency_ns=int(values.get("latency_ms", 0) * 1_000_000),
        jitter_ns=int(values.get("jitter_ms", 0) * 1_000_000),
        bytes_per_s=int(values.get("bytes_per_s", 0)),
        slice_bytes=int(values.get("slice_bytes", 0)),
        limit_bytes=int(values.get("limit_bytes", 0)),
    )


LINKS: dict[str, Kind] = {
    "close_1000": _link("closed normally", Close(1000)),
    "close_1001": _link("closed: going away", Close(1001)),
    "close_1006": _link("the stream ends without a close frame", Cut()),
    "close_1011": _link("closed: internal error", Close(1011)),
    "close_lingers": _link("a close frame, but the connection stays open", Close(1000, stays=True)),
    "reset": _link("the connection is reset", Reset()),
    "half_open": _link("nothing more in either direction, no close", Mute()),
    "day_cut": _link("cut `age_ms` after it was opened", Cut(), age_ms=86_400_000, **ENDLESS),
    "server_ping": _link("a ping of the websocket protocol (legal)", Ping()),
    "frozen": Kind("link", "nothing for `ms`, then all of it at once", _frozen, {"ms": 3_000}),
    "slow": Kind("link", "`bytes_per_s`", _shape, {"bytes_per_s": 20_000}, ENDLESS),
    "latency": Kind(
        "link",
        "everything comes `latency_ms` later, more or less `jitter_ms`",
        _shape,
        {"latency_ms": 200, "jitter_ms": 50},
        ENDLESS,
    ),
    "sliced": Kind("link", "`slice_bytes` at a time", _shape, {"slice_bytes": 7, "latency_ms": 0}, ENDLESS),
    "limited": Kind("link", "reset after `limit_bytes`", _shape, {"limit_bytes": 50_000}),
}

REQUESTS: dict[str, Kind] = {
    "request_lost": Kind(
        "request", "a request is neither performed nor answered", lambda _f, _r: Verdict(lost=True)
    ),
    "request_refused": Kind(
        "request",
        "a request is refused with `message`",
        lambda fault, _: Verdict(refused=fault.values["message"]),
        {"message": "args size >10"},
    ),
    "request_pretended": Kind(
        "request", "a request is acknowledged, but not performed", lambda _f, _r: Verdict(pretended=True)
    ),
}


def _refused(status: int, **headers: str) -> Kind:
    does = f"the handshake is answered with {status}" if status else "the handshake is not answered"
    refusal = Refusal(status, {name.replace("_", "-"): value for name, value in headers.items()})
    return Kind("handshake", does, lambda _fault, _peer: refusal)


HANDSHAKES: dict[str, Kind] = {
    "handshake_403": _refused(403),
    "handshake_404": _refused(404),
    "handshake_429": _refused(429, Retry_After="1"),
    "handshake_502": _refused(502),
    "handshake_redirect": _refused(302, Location="ws://127.0.0.1:9/"),
    "handshake_hangs": _refused(0),
}


def _status(status: int) -> Kind:
    return Kind("rest", f"answered with HTTP {status}", lambda _fault, _query: RestFault(status=status))


def _wrong_u(fault: Fault, _query: Any) -> RestFault:
    by = fault.values["by"]
    return RestFault(rewrite=lambda result: {**result, "u": result.get("u", 0) + by})


def _wrong_level(fault: Fault, _query: Any) -> RestFault:
    def rewrite(result: dict[str, Any]) -> dict[str, Any]:
        bids = [list(row) for row in result.get("b", [])]
        if bids:
            bids[0][1] = ("2" if bids[0][1][0] == "1" else "1") + bids[0][1][1:]
        return {**result, "b": bids}

    return RestFault(rewrite=rewrite)


def _stale(fault: Fault, query: tuple[tuple[str, str], ...]) -> RestFault:
    """Give the first answer to a query again."""
    firing = fault.firing

    def rewrite(result: dict[str, Any]) -> dict[str, Any]:
        first: dict[str, Any] = fault.held.setdefault(query, result)
        return first if firing else result

    return RestFault(rewrite=rewrite)


RESTS: dict[str, Kind] = {
    "rest_500": _status(500),
    "rest_502": _status(502),
    "rest_503": _status(503),
    "rest_403": _status(403),
    "rest_429": _status(429),
    "rest_slow": Kind(
        "rest",
        "answered `late_ms` later",
        lambda fault, _: RestFault(delay_ns=int(fault.values["late_ms"]) * 1_000_000),
        {"late_ms": 5_000},
    ),
    "rest_cut": Kind("rest", "the connection ends instead of an answer", lambda _f, _q: RestFault(cut=True)),
    "rest_refused": Kind(
        "rest",
        "answered with retCode `code`",
        lambda fault, _: RestFault(code=fault.values["code"], message=fault.values["message"]),
        {"code": 10006, "message": "Too many visits!"},
    ),
    "rest_truncated": Kind(
        "rest",
        "the body ends in the middle",
        lambda _f, _q: RestFault(garble=lambda body: body[: len(body) // 2]),
    ),
    "rest_not_json": Kind(
        "rest", "the body is a page", lambda _f, _q: RestFault(garble=lambda _: b"<html>busy</html>")
    ),
    "rest_stale": Kind(
        "rest",
        "the first answer is given again",
        _stale,
        defaults={"frame": 2, "path": "*book"},
        watches=True,
    ),
    "rest_wrong_u": Kind("rest", "u is off by `by`", _wrong_u, {"by": 1}, {"path": "*book"}),
    "rest_wrong_level": Kind("rest", "a level has another size", _wrong_level, defaults={"path": "*book"}),
}


def _happen(fault: Fault, _subject: None) -> Change:
    return Change(fault.name, fault.common["category"], fault.common["symbol"], fault.values)


def _change(does: str, **values: Any) -> Kind:
    return Kind("market", does, _happen, values)


MARKETS: dict[str, Kind] = {
    "restart": _change("the venue restarts: books begin anew with a snapshot of u = 1"),
    "restart_without_u1": _change("the venue restarts: a snapshot with a lower u that is not 1"),
    "u_jump": _change("u leaps by `by` although no frame is missing", by=1_000),
    "snapshot_midstream": _change("a snapshot in the middle of the deltas (legal)"),
    "quiet": _change("nothing happens in this market for `ms` (level 1 is repeated)", ms=10_000),
    "listing": _change("a symbol is listed"),
    "delisting": _change("a symbol is delisted: u = 1, empty sides, then nothing"),
    "tick_change": _change("the tick is `factor` times as large from now on, u = 1", factor=10),
    "maintenance": Kind(
        "market",
        "a maintenance is announced on system.status",
        _happen,
        {"title": "Maintenance", "state": "scheduled"},
        {"category": "status", "symbol": "system.status"},
    ),
    "lot_change": _change("the lot is `factor` times as large from now on, u = 1", factor=10),
}
