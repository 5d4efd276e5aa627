from enum import IntEnum

from ext.carriers import Carrier, Carriers

class LeaderLimit(IntEnum):
    UNDELIVERED_MAX = 64
    SHARED_TRADES_MAX = 8192

class Leader(Carriers):
    @property
    def leader(self) -> Carrier | None: ...

class TradeLegs(Carriers): ...
