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

class Decoded:
    @property
    def fallbacks(self) -> int: ...
