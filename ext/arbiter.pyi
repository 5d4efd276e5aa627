from enum import IntEnum

from ext.book import OrderBook
from ext.carriers import Carrier, Carriers

class ArbiterLimit(IntEnum):
    APPLIED_MAX = 256
    HELD_MAX = 65

class Verdict(IntEnum):
    APPLY = 0
    ALONE = 1
    LATE = 2
    DUPLICATE = 3
    REPEAT = 4
    JOINED = 5
    HELD = 6
    UNSYNCED = 7
    BROKEN = 8
    DIFFERS = 9
    UNFOLLOWED = 10

class BookCarrier(Carrier): ...

class Arbiter(Carriers):
    def __init__(self, book: OrderBook) -> None: ...
    @property
    def followed(self) -> int: ...
