"""Runs a spool through dispatchers: frames by compiled code, decisions by the table that ran live."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

import orjson

from engine import decisions
from engine.bybit.rules import CONTINUITY
from ext.dispatch import Dispatcher
from ext.journal import Record, RecordKind
from ext.listener import Listener
from ext.segment import Damage
from ext.state import dispatcher_state, restore_dispatcher
from recorder import ledger
from recorder.instruments import set_scales
from recorder.spool.reader import Routes, SpoolReader
from recorder.spool.seals import Gone, Reason
from recorder.spool.segments import first_payload
from recorder.wanted import Wanted

__all__ = ["Playback", "RestHandler"]

RestHandler = Callable[[dict[str, Any], int, int], None]

ALL_LEGS: Final = -1


class Playback:
    """The records of a spool, in order, as calls of a Listener. For one thread; follows a growing spool.

    Args:
        folder: the spool.
        listener: called as it would have been live.
        on_rest: called with each REST record: its payload, recv_ns and position.
        begin: what another one's `state` said, to go on from there; from the first record if not given.

    Raises:
        ValueError: that is no such state.

    Attributes:
        position: of the record obeyed last, 0 before the first.
        dispatchers: by category.
        frames, records: obeyed so far; frames are records too.
        at_seam: whether the next record begins a segment.
        on_decided: called after each record that is no frame, if it is set.
    """

    def __init__(
        self,
        folder: Path,
        listener: Listener,
        on_rest: RestHandler | None = None,
        begin: tuple[Any, ...] | None = None,
    ) -> None:
        self.position = 0
        self.dispatchers: dict[str, Dispatcher] = {}
        self.frames = 0
        self.records = 0
        self.on_decided: Callable[[Record], None] | None = None
        self._listener = listener
        self._on_rest = on_rest
        self._reader = SpoolReader(folder)
        self._routes: Routes = {}
        self._wanted = Wanted()
        self._held: Record | None = None
        self._damage: tuple[Damage, int] | None = None
        self._unrouted: set[int] = set()
        if begin is not None:
            self._restore(folder, begin)

    def state(self) -> tuple[Any, ...]:
        """Return all that is known after the record of `position`, as plain values.

        They may share dicts with what is alive: encode them before reading on. Between runs only.
        """
        routes = [(number, route[0].category, route[1]) for number, route in sorted(self._routes.items())]
        damage = None
        if self._damage is not None:
            met, start_ns = self._damage
            damage = (met.position, met.next_position, met.start, met.end, start_ns)
        return (
            self.position,
            self.recv_ns,
            self.at_seam,
            self.frames,
            self.records,
            [dispatcher_state(dispatcher) for dispatcher in self.dispatchers.values()],
            routes,
            self._wanted.state(),
            damage,
            sorted(self._unrouted),
        )

    def _restore(self, folder: Path, state: tuple[Any, ...]) -> None:
        self.position, recv_ns, is_read, self.frames, self.records = state[:5]
        dispatchers, routes, wanted, damage, unrouted = state[5:]
        self._reader = SpoolReader(folder, self.position, recv_ns=recv_ns, is_read=is_read)
        for dispatcher in dispatchers:
            restore_dispatcher(self._dispatcher(dispatcher[0]), dispatcher)
        for number, category, leg in routes:
            self._routes[number] = (self.dispatchers[category], leg)
        self._wanted.restore(wanted)
        if damage is not None:
            self._damage = (Damage(*damage[:4]), damage[4])
        self._unrouted = set(unrouted)

    @property
    def at_seam(self) -> bool:
        """Whether the next record begins a segment, and waits."""
        return self._held is not None

    @property
    def recv_ns(self) -> int:
        """Wall clock of the record obeyed last, 0 before the first."""
        return self._reader.recv_ns if self._held is None else self._reader.previous_recv_ns

    @property
    def place(self) -> tuple[int, int]:
        """The segment that is read next, and the offset in it, bytes: all before was read."""
        return self._reader.place

    @property
    def wanted(self) -> dict[str, list[str]]:
        """The topics of each category that are wanted at this point of the spool."""
        return self._wanted.topics

    def run(self, limit: int, *, until: int = 0, stay: bool = False) -> int:
        """Obey up to `limit` records; returns how many, 0 where there are no more yet.

        Args:
            limit: records.
            until: position not to go beyond; 0 for none.
            stay: not to enter another segment; `at_seam` tells that one waits.
        """
        taken = 0
        # Whatever it ends at, damage is told first: its rows belong to what comes before the next record.
        while taken < limit and not (until and self.position >= until and self._damage is None):
            if self._held is not None:
                if stay or taken or (until and self._held.position > until):
                    break
                record, self._held = self._held, None
                self._obey(record)
                taken += 1
                continue
            wanted = limit - taken if self._damage is None else 1
            if until and self._damage is None:
                wanted = min(wanted, until - self.position)
            frames, item = self._reader.feed(self._routes, wanted)
            self.position += frames
            self.frames += frames
            self.records += frames
            taken += frames
            if self._damage is not None and (frames or item is not None):
                self._report_damage()
            if isinstance(item, Damage):
                self._damage = (item, self.recv_ns)
                self.position = item.next_position - 1
            elif isinstance(item, Gone):
                self._tell_gone(item)
                self.position = item.last_position
            elif isinstance(item, Record) and item.kind == RecordKind.SEGMENT:
                self._held = item
            elif isinstance(item, Record):
                self._obey(item)
                taken += 1
            elif frames < wanted:
                break
        return taken

    def route(self, connection: int) -> tuple[Dispatcher, int] | None:
        """Return the dispatcher and the leg of a connection that is open; None where it is not known."""
        return self._routes.get(connection)

    def close(self) -> None:
        """Let the files go."""
        self._reader.close()

    def _dispatcher(self, category: str) -> Dispatcher:
        dispatcher = self.dispatchers.get(category)
        if dispatcher is None:
            dispatcher = Dispatcher(category, self._listener, rules=CONTINUITY.get(category))
            self.dispatchers[category] = dispatcher
        return dispatcher

    def _obey(self, record: Record) -> None:
        self.position = record.position
        self.records += 1
        kind = RecordKind(record.kind)
        if kind == RecordKind.SEGMENT:
            self._begin_segment(record)
        elif kind == RecordKind.FRAME:
            self._unrouted_frame(record)
        elif kind == RecordKind.STOPPED:
            self._event(record, "stopped", record.payload.decode())
        elif record.payload:
            self._decide(record, kind, orjson.loads(record.payload))
        if self.on_decided is not None:
            self.on_decided(record)

    def _decide(self, record: Record, kind: RecordKind, payload: dict[str, Any]) -> None:
        if kind == RecordKind.REST:
            set_scales(self._dispatcher(payload["category"]), payload)
            if self._on_rest is not None:
                self._on_rest(payload, record.recv_ns, record.position)
            decisions.obey(
                self._dispatcher(payload["category"]), kind, payload, record.recv_ns, record.position
            )
            return
        if kind == RecordKind.CLOCK:
            ledger.tell_step(self._listener, payload["step_ns"], record.recv_ns, record.position)
            return
        if kind == RecordKind.LOST and "end_ns" in payload:
            ledger.tell_missed(self._listener, self._wanted.topics, payload, record.position)
            return
        if "category" not in payload:  # a loss that concerns all of them, on all legs
            payload.pop("leg", None)
            for dispatcher in self.dispatchers.values():
                decisions.obey(dispatcher, kind, payload, record.recv_ns, record.position)
            return
        dispatcher = self._dispatcher(payload["category"])
        if kind == RecordKind.CONNECTED:
            self._routes[payload["connection"]] = (dispatcher, payload["leg"])
        decisions.obey(dispatcher, kind, payload, record.recv_ns, record.position)
        if kind == RecordKind.REQUESTED and payload["op"] == "desire":
            for leg, left in self._wanted.join(
                dispatcher.category, payload["topics"], payload["leg"]
            ).items():
                dispatcher.removed(left, record.recv_ns, leg, record.position)
        elif kind == RecordKind.REQUESTED and payload["op"] == "remove":
            self._wanted.part(dispatcher.category, payload["topics"], payload["leg"])

    def _begin_segment(self, record: Record) -> None:
        payload = first_payload(record)
        if payload["reason"] == "start":
            self._routes.clear()
            if payload["previous_recv_ns"]:
                self._lose_all(record, payload["previous_recv_ns"])
            if payload["topics"]:
                self._remove_others(record, payload["topics"])
            self._wanted.begin_run()
        for one in payload.get("waiting", ()):
            self._restate(self._dispatcher(one["category"]), one["topics"], record, one["leg"])
        for connection in payload["connections"]:
            dispatcher = self._dispatcher(connection["category"])
            self._routes[connection["connection"]] = (dispatcher, connection["leg"])
            self._restate(dispatcher, connection.get("topics", ()), record, connection["leg"])
        if payload["reason"] != "start":  # else they are still to be wanted, on legs that follow
            for category, topics in payload["topics"].items():
                self._restate(self._dispatcher(category), topics, record, 0)

    def _restate(self, dispatcher: Dispatcher, topics: Iterable[str], record: Record, leg: int) -> None:
        """What a segment says is wanted; news only to a reader that did not read the segments before."""
        fresh = self._wanted.unknown(dispatcher.category, topics)
        self._wanted.join(dispatcher.category, fresh, leg)
        dispatcher.desired(fresh, record.recv_ns, leg, record.position)

    def _lose_all(self, record: Record, start_ns: int) -> None:
        for dispatcher in self.dispatchers.values():
            dispatcher.lost(
                None,
                start_ns,
                record.recv_ns,
                "not_running",
                "ours",
                ALL_LEGS,
                record.position,
                "the recorder was not running",
            )

    def _remove_others(self, record: Record, wanted: dict[str, list[str]]) -> None:
        """End what was wanted before this start and is not any more: its loss ends here."""
        for category in self._wanted.topics:
            for leg, gone in self._wanted.keep(category, wanted.get(category, ())).items():
                self._dispatcher(category).removed(gone, record.recv_ns, leg, record.position)

    def _unrouted_frame(self, record: Record) -> None:
        self.frames += 1
        if record.connection not in self._unrouted:
            self._unrouted.add(record.connection)
            self._event(
                record, "unrouted", f"frames of connection {record.connection}, which was never opened"
            )

    def _report_damage(self) -> None:
        """Name the records that damage took: an event, and a gap for each desired topic.

        Books are left to their own continuity: what the damage took of them shows in their update ids.
        """
        if self._damage is None:
            return
        (damage, start_ns), self._damage = self._damage, None
        lost = damage.position + 1
        count = f"{damage.records} records" if damage.records >= 0 else "whole segments"
        detail = f"{count} lost to damage of the spool"
        ledger.tell_event(self._listener, "spool_damaged", detail, self.recv_ns, lost)
        loss = ledger.missed(start_ns, self.recv_ns, "own_drop", detail)
        ledger.tell_missed(self._listener, self._wanted.topics, loss, lost)

    def _tell_gone(self, gone: Gone) -> None:
        """Name what the keeper deleted: an event if it was loaded before, else a gap of each topic."""
        segments = f"segments {gone.first_segment} to {gone.last_segment}"
        if gone.reason is Reason.EXPIRED:
            detail = f"{segments} are gone from the spool, after they were loaded"
            ledger.tell_event(self._listener, "expired", detail, gone.last_recv_ns, gone.first_position)
            return
        detail = f"{segments} were dropped, for the quota had no room"
        loss = ledger.missed(gone.first_recv_ns, gone.last_recv_ns, "own_drop", detail)
        ledger.tell_missed(self._listener, gone.topics or self._wanted.topics, loss, gone.first_position)

    def _event(self, record: Record, kind: str, detail: str) -> None:
        ledger.tell_event(self._listener, kind, detail, record.recv_ns, record.position)
