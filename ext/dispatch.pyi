from collections.abc import Mapping

from ext.answered import Answered
from ext.listener import Control, Listener

class Dispatcher(Answered):
    def __init__(
        self,
        category: str,
        listener: Listener,
        *,
        control: Control | None = None,
        rules: Mapping[int, str] | None = None,
    ) -> None: ...
    def feed(
        self, frame: bytes | bytearray | memoryview, recv_ns: int, leg: int = 0, position: int = 0
    ) -> None: ...
    @property
    def counters(self) -> dict[str, int]: ...
