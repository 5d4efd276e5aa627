from collections.abc import Mapping
from typing import Any

from ext.led import Led
from ext.listener import Control, Listener

class Answered(Led):
    def __init__(
        self,
        category: str,
        listener: Listener,
        *,
        control: Control | None = None,
        rules: Mapping[int, str] | None = None,
    ) -> None: ...
    def rest(
        self,
        use: str,
        topic: str,
        body: str | bytes | dict[str, Any],
        recv_ns: int,
        leg: int = 0,
        position: int = 0,
    ) -> None: ...
    def holes(self) -> list[tuple[str, int, int]]: ...
