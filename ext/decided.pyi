from collections.abc import Iterable

from ext.ledger import Ledger

class Decided(Ledger):
    def connected(self, leg: int, recv_ns: int, position: int = 0) -> None: ...
    def disconnected(
        self, leg: int, recv_ns: int, position: int = 0, cause: str = "disconnect", detail: str = ""
    ) -> None: ...
    def ended(self, leg: int, recv_ns: int, position: int = 0) -> None: ...
    def desired(
        self, topics: Iterable[str], recv_ns: int, leg: int = 0, position: int = 0
    ) -> None: ...
    def confirmed(
        self, topics: Iterable[str], recv_ns: int, leg: int = 0, position: int = 0
    ) -> None: ...
    def removed(
        self, topics: Iterable[str], recv_ns: int, leg: int = 0, position: int = 0
    ) -> None: ...
    def lost(
        self,
        topics: Iterable[str] | None,
        start_ns: int,
        recv_ns: int,
        cause: str,
        fault: str,
        leg: int = -1,
        position: int = 0,
        detail: str = "",
    ) -> None: ...
    def audit(
        self, topics: Iterable[str], recv_ns: int, leg: int = 0, position: int = 0
    ) -> None: ...
    def noted(
        self, kind: str, topic: str, detail: str, recv_ns: int, leg: int = 0, position: int = 0
    ) -> None: ...
