from picows import WSListener, WSTransport

from ext.listener import Listener
from ext.ticket import Ticket

class Quoter(Listener):
    def __init__(self, ticket: Ticket, qty: int) -> None: ...
    @property
    def refused(self) -> int: ...

class Echo(WSListener):
    def __init__(self, orders: WSTransport, reply: bytes) -> None: ...
