from collections.abc import Mapping
from typing import Any

from ext.continuity import Continuity
from ext.listener import Control, Listener

class Legs(Continuity):
    def __init__(
        self,
        category: str,
        listener: Listener,
        *,
        control: Control | None = None,
        rules: Mapping[int, str] | None = None,
    ) -> None: ...
    def legs(self) -> list[dict[str, Any]]: ...
    def behind(self) -> list[tuple[str, int, int]]: ...
