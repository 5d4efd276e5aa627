"""The ``.state`` files of a spool: what decoding knows after the last record of a segment (docs/recorder.md).

A file is a line and the parts that the line describes: the CRC-32C of the rest of the line in hexadecimal, a
space, and JSON; then each part, pickled and compressed with zstd. A part holds plain values only, and is read
so: nothing in it can name a class.
"""

import io
import logging
import os
import pickle
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import orjson
import zstandard

from engine.errors import TapeheadError
from ext.journal import crc32c_bytes
from ext.state import STATE_FORMAT
from recorder.spool.durable import sync_folder
from recorder.spool.segments import first_number

__all__ = [
    "State",
    "StateError",
    "load",
    "remove_beyond",
    "save",
    "state_path",
    "states",
    "thin",
    "usable",
    "warn_unused",
]

SUFFIX: Final = ".state"
KEPT_LATEST: Final = 2  # states
KEPT_EVERY: Final = 16  # segments
LEVEL: Final = 3
HEAD_BYTES_MAX: Final = 1 << 16
PART_BYTES_MAX: Final = 1 << 31

logger = logging.getLogger(__name__)


class StateError(TapeheadError):
    """A state file cannot be used; the one before can, or the spool from its first record."""


@dataclass(frozen=True, slots=True)
class State:
    """What is known after the record of ``position``, the last one of ``segment``; nothing beyond it is.

    Args:
        recorder: whose spool.
        decoder_version: another version may know other things of the same records (``batches``).
        recv_ns: wall clock of that record.
        parts: by name, encoded.
    """

    recorder: str
    segment: int
    position: int
    recv_ns: int
    decoder_version: str
    parts: dict[str, bytes] = field(repr=False)

    @classmethod
    def of(
        cls,
        recorder: str,
        segment: int,
        position: int,
        recv_ns: int,
        decoder_version: str,
        values: dict[str, Any],
    ) -> "State":
        """Make a state of plain values by part; they are encoded at once, and may change afterwards."""
        parts = {name: _encode(value) for name, value in values.items()}
        return cls(recorder, segment, position, recv_ns, decoder_version, parts)

    def part(self, name: str) -> Any:
        """Return the values of a part, new ones at each call. Raises StateError if they are not plain."""
        return _decode(self.parts[name])


def state_path(folder: Path, segment: int) -> Path:
    """Return the path of the state after a segment, whether it exists or not."""
    return folder / f"{segment:08}{SUFFIX}"


def states(folder: Path) -> list[int]:
    """Return the numbers of the segments that have a state, in their order."""
    return sorted(int(path.stem) for path in folder.glob(f"*{SUFFIX}") if path.stem.isdecimal())


def save(folder: Path, state: State) -> None:
    """Write a state, whole or not at all, so that it survives a power failure. Raises OSError."""
    path = state_path(folder, state.segment)
    fresh = path.with_name(path.name + ".new")
    with fresh.open("wb") as file:
        file.write(_head(state))
        for part in state.parts.values():
            file.write(part)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    sync_folder(folder)


def load(folder: Path, segment: int) -> State:
    """Read the state after a segment.

    Raises:
        StateError: it is damaged, of another format, or no state at all.
        OSError: it is not there, or cannot be read.
    """
    path = state_path(folder, segment)
    with path.open("rb") as file:
        line = file.readline(HEAD_BYTES_MAX)
        crc, _, text = line.partition(b" ")
        if not line.endswith(b"\n") or crc != _crc(text):
            raise StateError("its head is damaged, or it is no state")
        head = orjson.loads(text)
        if head.pop("format") != STATE_FORMAT:
            raise StateError("it is of another format than this version reads")
        if head["segment"] != segment:
            raise StateError(f"it is the state after segment {head['segment']}")
        parts = {}
        for part in head.pop("parts"):
            data = file.read(part["bytes"])
            if _crc(data).decode() != part["crc"]:
                raise StateError(f"its part {part['name']} is damaged")
            parts[part["name"]] = data
    return State(**head, parts=parts)


def usable(folder: Path, recorder: str | None, decoder_version: str | None, mark: int) -> Iterator[State]:
    """Yield the states not beyond a position that can be gone on from, the newest first.

    One that is damaged or of another recorder (None: of any) is left out with a warning; one of another
    version of the decoder (None: of any) without, as that is usual after an upgrade.
    """
    for segment in reversed(states(folder)):
        if segment << 32 > mark:
            continue
        try:
            state = load(folder, segment)
        except (StateError, FileNotFoundError) as error:
            warn_unused(folder, segment, error)
            continue
        if state.position > mark or decoder_version not in (None, state.decoder_version):
            continue
        if recorder is not None and state.recorder != recorder:
            warn_unused(folder, segment, f"it is of recorder {state.recorder!r}")
            continue
        yield state


def warn_unused(folder: Path, segment: int, reason: object) -> None:
    """Say why a state is not gone on from; another one is, or the spool is read from its first record."""
    logger.warning("%s is not used: %s", state_path(folder, segment), reason)


def thin(folder: Path) -> None:
    """Remove the states but the latest ones and those of every 16th segment.

    Of those whose following segment is gone the newest alone is kept: it leads to the first that is there.
    """
    found = states(folder)
    first = first_number(folder)
    outlived = {segment for segment in found if segment + 1 < first}
    outlived -= {max((segment for segment in found if segment < first), default=0)}
    for segment in found[:-KEPT_LATEST]:
        if segment % KEPT_EVERY or segment in outlived:
            state_path(folder, segment).unlink(missing_ok=True)


def remove_beyond(folder: Path, mark: int, but: int = 0) -> None:
    """Remove the states beyond a position: what they say is loaded is not, or not any more.

    That of position ``but`` stays: what comes before it will not be loaded.
    """
    for segment in states(folder):
        if segment != but >> 32 and _is_beyond(folder, segment, mark):
            logger.warning("%s is removed: not all of it is loaded", state_path(folder, segment))
            state_path(folder, segment).unlink(missing_ok=True)


def _is_beyond(folder: Path, segment: int, mark: int) -> bool:
    if segment != mark >> 32:
        return segment > mark >> 32
    try:
        return load(folder, segment).position > mark
    except (StateError, FileNotFoundError):
        return True


def _head(state: State) -> bytes:
    head = {name: value for name, value in asdict(state).items() if name != "parts"}
    head["format"] = STATE_FORMAT
    head["parts"] = [
        {"name": name, "bytes": len(data), "crc": _crc(data).decode()} for name, data in state.parts.items()
    ]
    text = orjson.dumps(head) + b"\n"
    return _crc(text) + b" " + text


def _crc(data: bytes) -> bytes:
    return b"%08x" % crc32c_bytes(data)


def _encode(value: Any) -> bytes:
    buffer = io.BytesIO()
    pickler = pickle.Pickler(buffer, protocol=5)
    pickler.fast = True  # equal values are equal bytes, whichever of them are one object
    pickler.dump(value)
    return zstandard.ZstdCompressor(LEVEL).compress(buffer.getbuffer())


def _decode(data: bytes) -> Any:
    try:
        if zstandard.frame_content_size(data) > PART_BYTES_MAX:
            raise StateError(f"a part of a state says that it has more than {PART_BYTES_MAX} bytes")
        plain = zstandard.ZstdDecompressor().decompress(data, max_output_size=PART_BYTES_MAX)
        return _PlainValues(io.BytesIO(plain)).load()
    except (zstandard.ZstdError, pickle.UnpicklingError, EOFError) as error:
        raise StateError(f"a part of a state cannot be read: {error}") from error


class _PlainValues(pickle.Unpickler):
    """Takes none but plain values: whatever would call or make anything of ours or others' is refused."""

    def find_class(self, module: str, name: str) -> Any:
        raise pickle.UnpicklingError(f"a state names {module}.{name}; it holds plain values only")
