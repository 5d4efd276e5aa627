"""How a recording is spread over several capture processes: by symbol, the same in every run.

Each shard is a recorder of its own: its name in the rows, its spool, its positions. Shard 0 is called as a
recording without shards, so that one may be begun without and go on with them.
"""

import re
import zlib
from collections.abc import Iterable
from typing import Final

from recorder.folder import DataFolder

__all__ = ["belongs", "existing", "process_name", "recorder_name", "shard_of"]

_SPOOL: Final = re.compile(r"spool(?:-([1-9]\d*))?")


def shard_of(symbol: str, shards: int) -> int:
    """Return which of ``shards`` captures a symbol; what has no symbol (``""``) is shard 0's."""
    return zlib.crc32(symbol.encode()) % shards if symbol else 0


def belongs(symbols: Iterable[str], shard: int, shards: int) -> tuple[str, ...]:
    """Return those of the symbols that are this shard's, in their order."""
    return tuple(symbol for symbol in symbols if shard_of(symbol, shards) == shard)


def process_name(shard: int) -> str:
    """Return the name of the capture process, as in its status file."""
    return f"capture-{shard}" if shard else "capture"


def recorder_name(recorder: str, shard: int) -> str:
    """Return the name of a shard in every row."""
    return f"{recorder}-{shard}" if shard else recorder


def existing(folder: DataFolder) -> list[int]:
    """Return the shards that ever recorded into a folder."""
    found = [_SPOOL.fullmatch(path.name) for path in folder.path.glob("spool*") if path.is_dir()]
    return sorted(int(match[1] or 0) for match in found if match)
