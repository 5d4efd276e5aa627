"""The whole simulator in memory, in virtual time: no sockets, no threads, no sleep.

venue = MemoryVenue(listings("linear:BTCUSDT"), Plan([{"fault": "drop", "frame": 5}]), rate=100.0)
client = venue.connect("/v5/public/linear")
client.send(b'{"op":"subscribe","args":["orderbook.50.BTCUSDT"]}')
venue.advance(venue.now_ns + 1_000_000_000)
for at_ns, item in client.take(): ...
"""

from collections import deque
from collections.abc import Mapping

from simulator.answers import Answer, Answers
from simulator.exchange.exchange import Exchange
from simulator.exchange.journal import Journal
from simulator.exchange.rest import Reply, SignedRest
from simulator.faults import Close, Ending, Item, Peer, Plan, Refusal
from simulator.faults.fault import NEVER_NS
from simulator.generated import Generated
from simulator.hub import Hub
from simulator.instruments import Listing
from simulator.log import FrameLog
from simulator.source import IDLE
from simulator.switches import Switches
from simulator.venue import Venue
from simulator.wire import Messages

START_NS = 1_790_000_000_000_000_000


class MemoryConnection:
    """The client's end of a connection. What arrived waits in the order of its arrival."""

    def __init__(self, venue: "MemoryVenue", peer: Peer) -> None:
        self.number = peer.number
        self.peer = peer
        self.writable = True
        self.is_open = True
        self._venue = venue
        self._messages = Messages()
        self._arrived: deque[tuple[int, Item]] = deque()
        self._client = venue.venue.client(peer, self)

    def send(self, text: bytes) -> None:
        """Send a text message to the venue; to a connection that has ended it is lost."""
        if self.is_open and self._client.request(text):
            self.act(Close(1008))
        self._venue.bury()

    def take(self) -> list[tuple[int, Item]]:
        """Return and forget what has arrived: (ns, item).

        Bytes are a text message; Binary and Ping; Close, Cut or Reset at the end, and nothing after it.
        """
        taken = list(self._arrived)
        self._arrived.clear()
        return taken

    def close(self) -> None:
        """End the connection from the client's side."""
        if self.is_open:
            self.is_open = False
            self._client.leave()

    def write(self, data: bytes) -> None:
        """Take bytes from the venue."""
        for item in self._messages.feed(data):
            self._arrived.append((self._venue.now_ns, item))

    def act(self, item: Ending) -> None:
        """End as a fault says."""
        self._arrived.append((self._venue.now_ns, item))
        if not (isinstance(item, Close) and item.stays):
            self._venue.ended.append(self)


class MemoryVenue:
    """A generated market that moves when `advance` is called; the same calls give the same bytes."""

    def __init__(
        self,
        listed: list[Listing],
        plan: Plan | None = None,
        *,
        seed: int = 1,
        rate: float = 100.0,
        switches: Switches | None = None,
        start_ns: int = START_NS,
        log: FrameLog | None = None,
        lap_steps: int | None = None,
        trades: bool = False,
        journal: Journal | None = None,
    ) -> None:
        self.now_ns = start_ns
        self.ended: list[MemoryConnection] = []
        chosen = switches or Switches()
        self.hub = Hub(log, plan or Plan(now_ns=start_ns), self._now)
        self.source = Generated(
            listed, self.hub, chosen, self._now, seed=seed, rate=rate, lap_steps=lap_steps
        )
        self.exchange: Exchange | None = None
        if trades:
            self.exchange = Exchange(self.source, self.hub, self._now, journal=journal, seed=seed)
        self.venue = Venue(self.hub, self.source, chosen, self._now, self.exchange)
        self._answers = Answers(self.venue)
        self._play_ns = start_ns

    def _now(self) -> int:
        return self.now_ns

    def connect(self, path: str) -> MemoryConnection | Refusal:
        """Open a connection to a URL path, /v5/public/linear or with a gateway before it."""
        peer = self.venue.admit(path)
        return peer if isinstance(peer, Refusal) else MemoryConnection(self, peer)

    def get(self, path: str, **query: str) -> Answer:
        """Return what REST answers; the caller lets its delay pass."""
        return self._answers.get(path, query)

    def signed(self, method: str, target: str, headers: Mapping[str, str], body: bytes = b"") -> list[Reply]:
        """Send a signed request; the list has its answer when it has come, perhaps never."""
        found: list[Reply] = []
        if self.exchange is not None:
            SignedRest(self.exchange).handle(method, target, headers, body, "127.0.0.1", found.append)
        self.bury()
        return found

    def next_ns(self) -> int:
        """Return when something happens next, if nobody does anything; NEVER_NS where nothing will."""
        play_ns = self.now_ns if self.hub.changed.is_set() else self._play_ns
        due_ns = self.exchange.next_ns() if self.exchange is not None else NEVER_NS
        return max(self.now_ns, min(play_ns, due_ns, self.hub.next_ns(), self.hub.plan.next_ns()))

    def advance(self, until_ns: int) -> None:
        """Let everything happen up to and including a moment, each thing at its own time."""
        while (due_ns := self.next_ns()) <= until_ns:
            self.now_ns = due_ns
            self.venue.tick()
            if self.hub.changed.is_set() or self._play_ns <= due_ns:
                wait_s = self.source.play(due_ns)
                idle = wait_s is None or wait_s == IDLE
                self._play_ns = NEVER_NS if idle or wait_s is None else due_ns + max(1, round(wait_s * 1e9))
                self.hub.flush()
            self.bury()
        self.now_ns = max(self.now_ns, until_ns)

    def bury(self) -> None:
        """Forget the connections that have ended."""
        for connection in self.ended:
            connection.close()
        self.ended.clear()
