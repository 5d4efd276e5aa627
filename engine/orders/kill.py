"""The kill switch: a call, a signal, or a file that appears."""

import asyncio
import contextlib
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Final

__all__ = ["KillSwitch"]

POLL_S: Final = 0.2


class KillSwitch:
    """Calls ``on_kill(reason)`` once: when `pull` is called, the signal comes, or ``file`` is there."""

    def __init__(
        self, on_kill: Callable[[str], object], *, file: Path | None, signal_number: int | None
    ) -> None:
        self.reason = ""
        self._on_kill = on_kill
        self._file = file
        self._signal = signal_number

    @property
    def is_pulled(self) -> bool:
        """Whether it was pulled; there is no way back."""
        return bool(self.reason)

    def pull(self, reason: str) -> None:
        """Stop; the first reason counts."""
        if not self.reason:
            self.reason = reason or "called"
            self._on_kill(self.reason)

    async def run(self) -> None:
        """Watch for the signal and the file; returns once it was pulled, or by being cancelled."""
        loop = asyncio.get_running_loop()
        if self._signal is not None:
            name = signal.Signals(self._signal).name
            loop.add_signal_handler(self._signal, self.pull, f"signal {name}")
        try:
            while not self.reason:
                if self._file is not None and self._file.exists():
                    self.pull(f"file {self._file}")
                await asyncio.sleep(POLL_S)
        finally:
            if self._signal is not None:
                with contextlib.suppress(RuntimeError):  # the loop has ended already
                    loop.remove_signal_handler(self._signal)
