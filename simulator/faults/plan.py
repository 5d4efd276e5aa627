"""The plan that connections, REST and the market consult: which fault happens now, and what becomes of it."""

import re
from collections import deque
from collections.abc import Callable, Iterable
from random import Random
from typing import Any

from simulator.faults.actions import Change, Item, Peer, Refusal, RestFault, Timed, Verdict
from simulator.faults.fault import NEVER_NS, Fault, Frame
from simulator.faults.script import KINDS, check_script

FIRED_KEPT_MAX = 200_000
UPDATE_ID = re.compile(rb'"u":(\d+)')
MARKET = 0
"""What faults of the market are remembered under."""

Fired = dict[str, Any]


class Plan:
    """The armed faults. The same script, seed and questions give the same answers.

    `log` keeps what happened, a dict each: at_ns, fault, entry (its number, from 1), and what it happened
    to: connection, topic, frame (counted from 1 by topic), u, path, symbol. `on_fired` is called with each as
    it happens. Faults that last by their nature are logged at their first time a connection and topic.
    """

    def __init__(self, script: Iterable[dict[str, Any]] = (), seed: int = 1, now_ns: int = 0) -> None:
        self.log: deque[Fired] = deque(maxlen=FIRED_KEPT_MAX)
        self.on_fired: Callable[[Fired], None] | None = None
        self.peers: dict[int, Peer] = {}
        self.faults: list[Fault] = []
        self._seed = seed
        self._armed = 0
        self._of_frames: dict[tuple[int, str], list[Fault]] = {}
        self.arm(list(script), now_ns)

    def arm(self, script: list[dict[str, Any]], now_ns: int) -> None:
        """Add the faults of a script, whose times count from now; raise SimulatorError and add none."""
        for entry in check_script(script):
            self._armed += 1
            random = Random(f"{self._seed}:{self._armed}")  # noqa: S311 (a test's dice, not a secret)
            name = entry["fault"]
            fault = Fault(name, KINDS[name], {**entry, "entry": self._armed}, random, now_ns)
            self.faults.append(fault)
        self._of_frames.clear()

    def clear(self) -> None:
        """Disarm everything; what was held back is lost."""
        self.faults.clear()
        self._of_frames.clear()

    def _scope(self, scope: str) -> list[Fault]:
        return [fault for fault in self.faults if fault.kind.scope == scope]

    def opened(self, peer: Peer) -> None:
        """A connection was let in."""
        self.peers[peer.number] = peer

    def closed(self, peer: Peer) -> None:
        """A connection has gone."""
        self.peers.pop(peer.number, None)
        for fault in self.faults:
            fault.forget(peer.number)
        for key in [key for key in self._of_frames if key[0] == peer.number]:
            del self._of_frames[key]

    def handshake(self, peer: Peer, now_ns: int) -> Refusal | None:
        """Return what a handshake is answered with, None where it is let in."""
        for fault in self._scope("handshake"):
            if fault.concerns_peer(peer) and fault.is_due(peer.category, now_ns):
                self._fire(fault, now_ns, connection=peer.number, category=peer.category)
                refusal: Refusal = fault.kind.apply(fault, peer)
                return refusal
        return None

    def incoming(self, peer: Peer, request: dict[str, Any], now_ns: int) -> Verdict | None:
        """Return what becomes of a request, None where it is performed."""
        args = request.get("args")
        topics = [one for one in args if isinstance(one, str)] if isinstance(args, list) else []
        for fault in self._scope("request"):
            named = not fault.entry.get("topic") or any(map(fault.concerns_topic, topics))
            if topics and named and fault.concerns_peer(peer) and fault.is_due(peer.number, now_ns):
                self._fire(fault, now_ns, connection=peer.number, topic=topics[0], op=request.get("op"))
                verdict: Verdict = fault.kind.apply(fault, request)
                return verdict
        return None

    def outgoing(self, peer: Peer, topic: str, payload: bytes, now_ns: int) -> list[Timed]:
        """Return what goes out in place of a frame, in order, each with its delay in ns.

        `topic` is that of a data frame, or the op that a reply answers.
        """
        key = (peer.number, topic)
        faults = self._of_frames.get(key)
        if faults is None:
            faults = self._of_frames[key] = [
                fault
                for fault in self.faults
                if (fault.kind.scope == "frame" or (fault.kind.scope == "link" and not fault.by_time))
                and fault.concerns_peer(peer)
                and fault.concerns_topic(topic)
            ]
        items: list[Timed] = [(0, payload)]
        for fault in faults:
            fault.firing = fault.is_due(key, now_ns, payload)
            if fault.firing or fault.kind.watches:
                items = [
                    one
                    for delay_ns, item in items
                    for one in self._apply(fault, peer, topic, delay_ns, item, now_ns)
                ]
        return items

    def _apply(
        self, fault: Fault, peer: Peer, topic: str, delay_ns: int, item: Item, now_ns: int
    ) -> list[Timed]:
        """Return what a fault makes of one item; what is no plain frame any more passes."""
        if not (isinstance(item, bytes) and (fault.firing or fault.kind.watches)):
            return [(delay_ns, item)]
        frame = Frame(peer, topic, item, now_ns)
        if fault.kind.scope == "link":
            made: list[Timed] | None = [(0, item), (0, fault.kind.apply(fault, peer))]
        else:
            made = fault.kind.apply(fault, frame)
        if made is None:
            return [(delay_ns, item)]
        if fault.firing:
            update_id = UPDATE_ID.search(item)
            u = int(update_id[1]) if update_id else None
            self._fire(fault, now_ns, connection=peer.number, topic=topic, frame=fault.seen[frame.key], u=u)
            fault.firing = False
        return [(delay_ns + more_ns, one) for more_ns, one in made]

    def answer(self, path: str, query: dict[str, str], now_ns: int) -> list[RestFault]:
        """Return what becomes of a REST answer, in order."""
        found: list[RestFault] = []
        key = tuple(sorted(query.items()))
        for fault in self._scope("rest"):
            if not fault.concerns_path(path, query):
                continue
            fault.firing = fault.is_due(path, now_ns)
            if fault.firing or fault.kind.watches:
                found.append(fault.kind.apply(fault, (("path", path), *key)))
            if fault.firing:
                self._fire(fault, now_ns, path=path, symbol=query.get("symbol"), frame=fault.seen[path])
        return found

    def due_links(self, now_ns: int) -> list[tuple[Peer, Item]]:
        """Return what happens to connections by now, without a frame as its occasion."""
        found: list[tuple[Peer, Item]] = []
        for fault in self._scope("link") if self.faults else ():
            for peer in list(self.peers.values()) if fault.by_time else ():
                if fault.concerns_peer(peer) and fault.next_ns(peer.number, peer.opened_ns) <= now_ns:
                    fault.rest_until_next(peer.number, now_ns)
                    self._fire(fault, now_ns, connection=peer.number)
                    found.append((peer, fault.kind.apply(fault, peer)))
        return found

    def due_changes(self, now_ns: int) -> list[Change]:
        """Return what happens to markets by now."""
        found: list[Change] = []
        for fault in self._scope("market") if self.faults else ():
            if fault.next_ns(MARKET, 0) <= now_ns:
                fault.rest_until_next(MARKET, now_ns)
                change: Change = fault.kind.apply(fault, None)
                self._fire(fault, now_ns, category=change.category, symbol=change.symbol)
                found.append(change)
        return found

    def next_ns(self) -> int:
        """Return when `due_links` or `due_changes` has something next; NEVER_NS where nothing is known."""
        due = [NEVER_NS]
        for fault in self.faults:
            if fault.kind.scope == "market":
                due.append(fault.next_ns(MARKET, 0))
            elif fault.kind.scope == "link" and fault.by_time:
                due += [
                    fault.next_ns(peer.number, peer.opened_ns)
                    for peer in self.peers.values()
                    if fault.concerns_peer(peer)
                ]
        return min(due)

    def armed(self) -> list[dict[str, Any]]:
        """Return the entries that are armed, each with how often it fired."""
        return [{**fault.entry, "fired": fault.fired, "spent": fault.spent} for fault in self.faults]

    def _fire(self, fault: Fault, now_ns: int, **to: Any) -> None:
        fault.fired += 1
        place = (to.get("connection"), to.get("topic"), "logged")
        if fault.times == 0 and fault.kind.defaults.get("times") == 0:
            if place in fault.held:
                return
            fault.held[place] = True
        happened = {"at_ns": now_ns, "fault": fault.name, "entry": fault.entry["entry"]}
        happened.update({name: value for name, value in to.items() if value is not None})
        self.log.append(happened)
        if self.on_fired is not None:
            self.on_fired(happened)
