"""A wall clock that a test can put forward and back under a running recording."""

import os
import struct
import subprocess
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SOURCE = Path(__file__).with_name("clock_shift.c")


class ShiftedClock:
    """Shared with the processes that were started with ``environment``."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "offset_ns"
        self._file.write_bytes(struct.pack("=q", 0))
        library = folder / "clock_shift.so"
        compiler = (sysconfig.get_config_var("CC") or "cc").split()
        subprocess.run([*compiler, "-shared", "-fPIC", "-O2", "-o", library, SOURCE, "-ldl"], check=True)
        self.environment = {"LD_PRELOAD": str(library), "SHIFTED_CLOCK": str(self._file)}

    def shift(self, seconds: float) -> None:
        """Be off by so much from now on."""
        with self._file.open("r+b") as file:
            file.write(struct.pack("=q", round(seconds * 1e9)))


@contextmanager
def shifted_clock(folder: Path) -> Iterator[ShiftedClock]:
    """Have processes that are started in this context live by a clock that can be shifted."""
    clock = ShiftedClock(folder)
    before = {name: os.environ.get(name) for name in clock.environment}
    os.environ.update(clock.environment)
    try:
        yield clock
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
