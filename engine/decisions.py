"""Decisions: what timers, answers and the network decided, and what each means to a Dispatcher.

A decision is recorded and then obeyed. When the spool is read its record is obeyed by the same table, so a
replay is equal to the live run. Payloads carry all that obeying needs:

    CONNECTED     url
    DISCONNECTED  cause detail
    REQUESTED     op topics            op: desire (wanted from now on), subscribe, unsubscribe, remove,
                                       audit (an answer of REST is asked for, to compare)
    CONFIRMED     op topics            op: subscribe, unsubscribe
    REJECTED      topics start_ns reason
    STALLED       topics start_ns detail
    LOST          topics start_ns cause fault detail
    NOTED         kind topic detail    an event that frames do not tell
    REST          use topic body       use: full_book, audit, trades, kline; others mean nothing here

and before these connection, category and leg. ``topics`` of LOST may be null: all that are
wanted. LOST, NOTED and REST may be without connection, category and leg: they then concern all of them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import orjson

from ext.dispatch import Dispatcher
from ext.journal import RecordKind

__all__ = ["STOPPED", "Decision", "Payload", "obey"]

Payload = dict[str, Any]

ALL_LEGS: Final = -1
STOPPED: Final = "stopped"  # the cause of a DISCONNECTED that this side wanted


@dataclass(frozen=True, slots=True)
class Decision:
    """One decision with the moment it was made; ``payload`` is what the record holds, as JSON."""

    kind: RecordKind
    payload: Payload
    recv_ns: int
    mono_ns: int

    def encoded(self) -> bytes:
        """Return the payload as the bytes of its record."""
        return orjson.dumps(self.payload)


def obey(dispatcher: Dispatcher, kind: RecordKind, payload: Payload, recv_ns: int, position: int = 0) -> None:
    """Tell the dispatcher what was decided. Kinds that mean nothing to it are accepted and do nothing."""
    action = _ACTIONS.get(kind)
    if action is not None:
        action(dispatcher, payload, recv_ns, position)


def _connected(dispatcher: Dispatcher, payload: Payload, recv_ns: int, position: int) -> None:
    dispatcher.connected(payload["leg"], recv_ns, position)


def _disconnected(dispatcher: Dispatcher, payload: Payload, recv_ns: int, position: int) -> None:
    if payload["cause"] == STOPPED:
        dispatcher.ended(payload["leg"], recv_ns, position)
        return
    detail = ": ".join(part for part in (payload["cause"], payload["detail"]) if part)
    dispatcher.disconnected(payload["leg"], recv_ns, position, "disconnect", detail)


def _requested(dispatcher: Dispatcher, payload: Payload, recv_ns: int, position: int) -> None:
    if payload["op"] == "desire":
        dispatcher.desired(payload["topics"], recv_ns, payload["leg"], position)
    elif payload["op"] == "audit":
        dispatcher.audit(payload["topics"], recv_ns, payload["leg"], position)
    elif payload["op"] == "remove":
        dispatcher.removed(payload["topics"], recv_ns, payload["leg"], position)


def _confirmed(dispatcher: Dispatcher, payload: Payload, recv_ns: int, position: int) -> None:
    if payload["op"] == "subscribe":
        dispatcher.confirmed(payload["topics"], recv_ns, payload["leg"], position)


def _rejected(dispatcher: Dispatcher, payload: Payload, recv_ns: int, position: int) -> None:
    _lose(dispatcher, payload, recv_ns, position, "rejected", "caller", payload["reason"])


def _stalled(dispatcher: Dispatcher, payload: Payload, recv_ns: int, position: int) -> None:
    _lose(dispatcher, payload, recv_ns, position, "stalled", "venue", payload["detail"])


def _lost(dispatcher: Dispatcher, payload: Payload, recv_ns: int, position: int) -> None:
    if payload.get("category", dispatcher.category) != dispatcher.category:
        return
    _lose(dispatcher, payload, recv_ns, position, payload["cause"], payload["fault"], payload["detail"])


def _noted(dispatcher: Dispatcher, payload: Payload, recv_ns: int, position: int) -> None:
    if payload.get("category", dispatcher.category) == dispatcher.category:
        leg = payload.get("leg", 0)
        dispatcher.noted(payload["kind"], payload["topic"], payload["detail"], recv_ns, leg, position)


def _rest(dispatcher: Dispatcher, payload: Payload, recv_ns: int, position: int) -> None:
    if payload.get("topic") and payload.get("category") == dispatcher.category:
        leg = payload.get("leg", 0)
        dispatcher.rest(payload["use"], payload["topic"], payload["body"], recv_ns, leg, position)


def _lose(
    dispatcher: Dispatcher, payload: Payload, recv_ns: int, position: int, cause: str, fault: str, detail: str
) -> None:
    dispatcher.lost(
        payload["topics"],
        payload["start_ns"],
        recv_ns,
        cause,
        fault,
        payload.get("leg", ALL_LEGS),
        position,
        detail,
    )


_ACTIONS: Final[dict[RecordKind, Callable[[Dispatcher, Payload, int, int], None]]] = {
    RecordKind.CONNECTED: _connected,
    RecordKind.DISCONNECTED: _disconnected,
    RecordKind.REQUESTED: _requested,
    RecordKind.CONFIRMED: _confirmed,
    RecordKind.REJECTED: _rejected,
    RecordKind.STALLED: _stalled,
    RecordKind.LOST: _lost,
    RecordKind.NOTED: _noted,
    RecordKind.REST: _rest,
}
