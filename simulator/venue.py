"""What all connections, REST and the player share, without a socket: who is let in, and what falls due."""

import itertools

from simulator.clock import Clock
from simulator.faults import Peer, Refusal
from simulator.hub import Hub
from simulator.instruments import CATEGORIES
from simulator.source import Source
from simulator.switches import Switches
from simulator.topics import STATUS

NOT_FOUND = Refusal(404)


class Venue:
    """`clock` tells the time of the market; faults go by the clock of the hub, which is the machine's."""

    def __init__(self, hub: Hub, source: Source, switches: Switches, clock: Clock) -> None:
        self.hub = hub
        self.source = source
        self.switches = switches
        self.clock = clock
        self.refused_requests = 0
        self.refused_handshakes = 0
        self.slow_closed = 0
        self._numbers = itertools.count(1)

    def admit(self, path: str) -> Peer | Refusal:
        """Return the new connection of a URL path, or why there is none.

        What the path has before /v5 names the gateway: all gateways show the same markets.
        """
        gateway, _, rest = path.partition("?")[0].partition("/v5/public/")
        category = STATUS if rest == "misc/status" else rest
        if category not in (*CATEGORIES, STATUS):
            return NOT_FOUND
        now_ns = self.hub.clock()
        peer = Peer(next(self._numbers), category, gateway.strip("/"), now_ns)
        refusal = self.hub.plan.handshake(peer, now_ns)
        self.refused_handshakes += refusal is not None
        return refusal or peer

    def tick(self) -> int:
        """Let happen what is due by now; return when (ns of the hub's clock) something is next."""
        now_ns = self.hub.clock()
        for change in self.hub.plan.due_changes(now_ns):
            self.source.change(change)
        return self.hub.tick(now_ns)
