"""What all connections, REST and the player share, without a socket: who is let in, and what falls due."""

import itertools

from simulator.client import Client
from simulator.clock import Clock
from simulator.exchange.clients import PRIVATE, SIGNED, TRADE, PrivateClient, TradeClient
from simulator.exchange.exchange import Exchange
from simulator.faults import Peer, Refusal
from simulator.hub import Hub, Outlet
from simulator.instruments import CATEGORIES
from simulator.source import Source
from simulator.switches import Switches
from simulator.topics import STATUS

AnyClient = Client | PrivateClient | TradeClient

NOT_FOUND = Refusal(404)


class Venue:
    """`clock` tells the time of the market; faults go by the clock of the hub, which is the machine's."""

    def __init__(
        self, hub: Hub, source: Source, switches: Switches, clock: Clock, exchange: Exchange | None = None
    ) -> None:
        self.hub = hub
        self.source = source
        self.switches = switches
        self.clock = clock
        self.exchange = exchange
        self.refused_requests = 0
        self.refused_handshakes = 0
        self.slow_closed = 0
        self._numbers = itertools.count(1)

    def admit(self, path: str) -> Peer | Refusal:
        """Return the new connection of a URL path, or why there is none.

        What the path has before /v5 names the gateway: all gateways show the same markets.
        """
        gateway, _, rest = path.partition("?")[0].partition("/v5/")
        category = self._category(rest)
        if not category:
            return NOT_FOUND
        now_ns = self.hub.clock()
        peer = Peer(next(self._numbers), category, gateway.strip("/"), now_ns)
        refusal = self.hub.plan.handshake(peer, now_ns)
        self.refused_handshakes += refusal is not None
        return refusal or peer

    def _category(self, path: str) -> str:
        """Return what the connections of a path after /v5/ are called, empty where it is not served."""
        if self.exchange is not None and path in SIGNED:
            return path
        head, _, category = path.partition("/")
        if head != "public":
            return ""
        return STATUS if category == "misc/status" else category if category in CATEGORIES else ""

    def client(self, peer: Peer, outlet: Outlet) -> AnyClient:
        """Return the client of a connection that was let in."""
        conn_id = f"sim{peer.number:017x}-{peer.number:05x}"
        if self.exchange is not None and peer.category == PRIVATE:
            return PrivateClient(self.exchange, self.hub, peer, outlet, conn_id)
        if self.exchange is not None and peer.category == TRADE:
            return TradeClient(self.exchange, self.hub, peer, outlet, conn_id)
        return Client(self, peer, outlet)

    def tick(self) -> int:
        """Let happen what is due by now; return when (ns of the hub's clock) something is next."""
        now_ns = self.hub.clock()
        for change in self.hub.plan.due_changes(now_ns):
            self.source.change(change)
        due_ns = self.hub.tick(now_ns)
        if self.exchange is not None:
            self.exchange.tick()
            wait_ns = max(0, self.exchange.next_ns() - self.clock())
            due_ns = min(due_ns, now_ns + wait_ns, self.hub.next_ns())
        return due_ns
