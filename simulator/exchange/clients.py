"""Private and order-entry connections without their sockets."""

from simulator.exchange.exchange import Exchange
from simulator.exchange.private_session import PrivateSession
from simulator.exchange.trade_session import TradeSession
from simulator.faults import Cut, Peer
from simulator.hub import Hub, Outlet, Stream

PRIVATE, TRADE = "private", "trade"
SIGNED = (PRIVATE, TRADE)
"""The categories of signed connections: what their paths have after /v5/."""


class PrivateClient:
    """Joins the hub when made; the owner calls `leave` at its end."""

    def __init__(self, exchange: Exchange, hub: Hub, peer: Peer, outlet: Outlet, conn_id: str) -> None:
        self._exchange = exchange
        self._hub = hub
        self._outlet = outlet
        self._session = PrivateSession(exchange, conn_id, peer.address)
        hub.join(outlet, peer)

    @property
    def topics(self) -> list[str]:
        """What is subscribed."""
        return list(self._session.topics)

    def request(self, text: bytes) -> bool:
        """Perform and answer one frame of the client; return whether the connection is to be closed."""
        hub = self._hub
        if hub.sendings[self._outlet].muted:
            return False
        answer = self._session.handle(text)
        hub.reply(self._outlet, answer.op, answer.reply)
        for topic in answer.added:
            hub.subscribe(self._outlet, self._stream(topic), [])
        for topic in answer.removed:
            hub.unsubscribe(self._outlet, self._stream(topic))
        hub.flush()
        return answer.close

    def _stream(self, topic: str) -> Stream:
        account = self._session.account
        return self._hub.stream(f"{PRIVATE}/{account.uid if account is not None else 0}", topic)

    def leave(self) -> None:
        """End, whoever began it. Where it was the last that armed disconnect-cancel-all, its time begins."""
        armed = [topic for topic in self.topics if topic.partition(".")[0] == "dcp"]
        account = self._session.account
        self._hub.leave(self._outlet)
        if account is not None:
            for topic in armed:
                if not self._stream(topic).subscribers:
                    self._exchange.disconnected(account, topic)


class TradeClient:
    """Joins the hub when made; the owner calls `leave` at its end."""

    topics: tuple[str, ...] = ()

    def __init__(self, exchange: Exchange, hub: Hub, peer: Peer, outlet: Outlet, conn_id: str) -> None:
        self._hub = hub
        self._outlet = outlet
        self._session = TradeSession(exchange, conn_id, peer.address, self._reply, self._cut)
        hub.join(outlet, peer)

    def request(self, text: bytes) -> bool:
        """Perform and answer one frame of the client; the connection is not to be closed."""
        if not self._hub.sendings[self._outlet].muted:
            self._session.handle(text)
            self._hub.flush()
        return False

    def _reply(self, op: str, payload: bytes) -> None:
        if self._outlet in self._hub.sendings:
            self._hub.reply(self._outlet, op, payload)

    def _cut(self) -> None:
        if self._outlet in self._hub.sendings:
            self._hub.end(self._outlet, Cut())

    def leave(self) -> None:
        """End, whoever began it."""
        self._hub.leave(self._outlet)
