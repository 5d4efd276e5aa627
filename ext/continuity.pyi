from enum import IntEnum

from collections.abc import Mapping

from ext.decided import Decided
from ext.listener import Control, Listener

class StormLimit(IntEnum):
    CONFIRMATIONS_MIN = 32

class Continuity(Decided):
    def __init__(
        self,
        category: str,
        listener: Listener,
        *,
        control: Control | None = None,
        rules: Mapping[int, str] | None = None,
    ) -> None: ...
