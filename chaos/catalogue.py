"""The catalogue: each named fault of each kind of topic, and how a run brings it about.

A name is ``fault.kind``. Most faults are the simulator's (`simulator.faults`), armed with the values given
here; the others are of this side of the wire (`chaos.ours`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from chaos import ours
from chaos.guarantees import KINDS
from chaos.network import GATEWAY
from simulator.faults import KINDS as SIMULATED

__all__ = ["CATALOGUE", "Case", "topics_of_kind"]


@dataclass(frozen=True, slots=True)
class Case:
    """One fault of one kind of topic.

    ``values`` are added to the simulator's script entry. ``lasts_s``: for how long a fault that does not end
    by itself goes on, or ``until_noticed``. ``starting``: it is there when the feed begins, else it comes
    while all is in step.
    ``spare``: symbols that nobody follows at first; ``quiet_s``: how long the markets are quiet first.
    """

    fault: str
    kind: str
    values: Mapping[str, Any] = field(default_factory=dict)
    lasts_s: float = 0.0
    until_noticed: bool = False
    starting: bool = False
    categories: tuple[str, ...] = ("linear", "spot")
    spare: int = 0
    quiet_s: float = 0.0

    @property
    def name(self) -> str:
        """The name in the table of docs/guarantees.md."""
        return f"{self.fault}.{self.kind}"

    @property
    def is_ours(self) -> bool:
        """Whether the fault is of this side of the wire."""
        return self.fault in ours.FAULTS or self.fault in ours.LEG_FAULTS


def topics_of_kind(kind: str, topics: list[str], deep: Mapping[str, int]) -> list[str]:
    """Return those of the topics that are of a kind."""
    if not KINDS[kind]:
        return topics
    return [
        topic
        for topic in topics
        if topic.startswith(KINDS[kind].format(depth=deep[topic.rpartition(".")[2]]))
    ]


def _cases() -> list[Case]:
    delta = {"only": "delta"}
    cases = [
        # order
        Case("drop", "book", delta),
        Case("drop_run", "book", delta),
        Case("duplicate", "book", delta),
        Case("reorder", "book", delta),
        Case("late", "book", {**delta, "late_ms": 2_000}),
        Case("heaped", "book"),
        Case("heaped", "level1"),
        Case("heaped", "trades", {"frames": 2}),
        Case("heaped", "tickers", {"frames": 3}),
        # sequence
        Case("u_ahead", "book", delta),
        Case("u_behind", "book", delta),
        Case("u_repeated", "book"),
        Case("delta_u1", "book"),
        Case("seq_behind", "book", delta),
        Case("seq_behind", "level1"),
        # content
        *(
            Case(fault, kind, delta if kind == "book" else {})
            for fault in (
                "truncated",
                "missing_field",
                "wrong_type",
                "deep_nesting",
            )
            for kind in ("book", "level1", "trades", "tickers", "klines")
        ),
        Case("invalid_utf8", "book", delta),
        Case("invalid_utf8", "trades"),
        Case("trailing_bytes", "book", delta),
        Case("empty_frame", "book", delta),
        Case("not_an_object", "book", delta),
        Case("null_field", "book", delta),
        Case("huge_number", "book", delta),
        Case("exponent_number", "book", delta),
        Case("negative_number", "book", delta),
        Case("crossed_book", "book", delta),
        Case("unknown_type", "book", delta),
        Case("wrong_symbol", "book", delta),
        Case("oversize", "connection"),
        # legal
        Case("respelled", "book", delta),
        Case("respelled", "trades"),
        Case("respelled", "tickers"),
        Case("exponent_price", "book", delta),
        Case("unknown_field", "book", delta),
        Case("unknown_field", "trades"),
        Case("unknown_field", "tickers"),
        Case("unknown_topic", "trades"),
        # sessions
        Case("snapshot_missing", "book", starting=True),
        Case("snapshot_late", "book", {"late_ms": 2_000}, starting=True),
        Case("snapshot_twice", "book", starting=True),
        Case("ack_missing", "requests", starting=True),
        Case("ack_late", "requests", starting=True),
        Case("ack_twice", "requests", starting=True),
        Case("ack_foreign", "requests", starting=True),
        Case("request_lost", "requests", starting=True),
        Case("request_refused", "requests", starting=True),
        Case("pong_missing", "requests", lasts_s=45),
        Case("pong_late", "requests"),
        Case("pong_damaged", "requests"),
        # connections
        *(
            Case(fault, "connection")
            for fault in (
                "close_1000",
                "close_1001",
                "close_1006",
                "close_1011",
                "reset",
                "half_open",
                "frozen",
            )
        ),
        Case("limited", "connection", {"limit_bytes": 10_000}),
        Case("slow", "connection", {"bytes_per_s": 40_000}, lasts_s=5),
        Case("latency", "connection", lasts_s=5),
        Case("server_ping", "connection"),
        *(
            Case(fault, "connection", starting=True)
            for fault in (
                "handshake_403",
                "handshake_404",
                "handshake_429",
                "handshake_502",
                "handshake_redirect",
                "handshake_hangs",
            )
        ),
        Case("day_cut", "connection", {"age_ms": 20_000}),
        # the market
        *(
            Case(fault, "symbol")
            for fault in (
                "restart",
                "restart_without_u1",
                "u_jump",
                "snapshot_midstream",
                "quiet",
                "tick_change",
                "lot_change",
            )
        ),
        # dead topics
        *(
            Case("topic_dies", kind, quiet_s=10.0, until_noticed=True)
            for kind in ("level1", "book", "trades", "tickers", "klines")
        ),
        # two legs, one of them at fault
        *(
            Case(fault, "legs", {"gateway": GATEWAY, **values}, lasts_s=lasts_s)
            for fault, values, lasts_s in (
                ("drop", {"topic": "orderbook.*"}, 0),
                ("duplicate", {"topic": "orderbook.*"}, 0),
                ("reorder", {"topic": "orderbook.*"}, 0),
                ("truncated", {"topic": "orderbook.*"}, 0),
                ("heaped", {"topic": "orderbook.*"}, 0),
                ("close_1006", {}, 0),
                ("reset", {}, 0),
                ("half_open", {}, 0),
                ("frozen", {}, 0),
                ("latency", {}, 5),
                ("all_topics_die", {}, 20),
            )
        ),
        # ours
        *(Case(fault, "connection", spare=ours.SPARE.get(fault, 0)) for fault in ours.FAULTS),
        *(Case(fault, "legs") for fault in ours.LEG_FAULTS),
    ]
    return [case for case in cases if case.fault in SIMULATED or case.is_ours]


CATALOGUE: Final[Mapping[str, Case]] = MappingProxyType({case.name: case for case in _cases()})
