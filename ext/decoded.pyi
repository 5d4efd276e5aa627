from enum import IntEnum

class FrameKind(IntEnum):
    MALFORMED = 0
    BOOK = 1
    TRADES = 2
    TICKER = 3
    KLINE = 4
    LIQUIDATIONS = 5
    CONTROL = 6
    UNKNOWN_TOPIC = 7
    BOOK_RPI = 8
    BOOK_FULL = 9
    NOTICES = 10

class Decoded:
    @property
    def fallbacks(self) -> int: ...
