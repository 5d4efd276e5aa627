"""Lines of a zip, a gzip or a plain file: streamed, bounded, and a file that is cut short is told."""

import gzip
import lzma
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Protocol, Self

from recorder.archives.errors import ArchiveError

__all__ = ["LINE_BYTES_MAX", "Lines"]

CHUNK_BYTES: Final = 256 << 10
LINE_BYTES_MAX: Final = 1 << 20  # a snapshot of 1000 levels a side is 60 KB; what is longer is cut here
UNPACKED_BYTES_MAX: Final = 64 << 30  # a day of the largest book is 2 GB
RATIO_MAX: Final = 250  # books pack 1:10; deflate cannot do more than 1:1032
RATIO_FREE_BYTES: Final = 64 << 20  # below it no ratio is an attack
MEMBERS_MAX: Final = 1000

_ZIP: Final = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")
_GZIP: Final = b"\x1f\x8b"
_BOM: Final = b"\xef\xbb\xbf"

_DAMAGE: Final = (
    EOFError,
    OSError,
    RuntimeError,
    ValueError,
    NotImplementedError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
)


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


class Lines:
    """The lines of a file, without their ends; of a zip those of all members, in their order. One pass.

    What kind of file it is, its first bytes say. Names of members mean nothing and are never used as paths.
    Of a line longer than `LINE_BYTES_MAX` the beginning is given.

    Attributes:
        unpacked_bytes: so far.

    Raises:
        ArchiveError: while iterating: cut short, damaged, encrypted, or larger than the limits.
        OSError: the file cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.unpacked_bytes = 0
        self._file = path.open("rb")
        self._lines = self._split()

    @property
    def read_bytes(self) -> int:
        """Bytes of the file itself that were read so far."""
        return self._file.tell()

    def __iter__(self) -> Iterator[bytes]:
        return self._lines

    def close(self) -> None:
        """Let the file go."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _split(self) -> Iterator[bytes]:
        for member in self._members():
            is_first = True
            rest = b""
            for chunk in self._chunks(member):
                lines = (rest + chunk).split(b"\n")
                rest = lines.pop()[: LINE_BYTES_MAX + 1]
                if is_first and lines:
                    lines[0] = lines[0].removeprefix(_BOM)
                    is_first = False
                for line in lines:
                    yield line[:LINE_BYTES_MAX].removesuffix(b"\r")
            if rest:
                yield (rest.removeprefix(_BOM) if is_first else rest)[:LINE_BYTES_MAX].removesuffix(b"\r")

    def _members(self) -> Iterator[_Readable]:
        head = self._file.read(4)
        self._file.seek(0)
        if head in _ZIP:
            yield from self._zipped()
        elif head.startswith(_GZIP):
            with gzip.open(self._file) as opened:
                yield opened
        else:
            yield self._file

    def _zipped(self) -> Iterator[_Readable]:
        try:
            archive = zipfile.ZipFile(self._file)
        except _DAMAGE as error:
            raise self._damaged(error) from error
        members = [member for member in archive.infolist() if not member.is_dir()]
        if len(members) > MEMBERS_MAX:
            problem = f"the zip has {len(members)} members, {MEMBERS_MAX} are the limit"
            raise ArchiveError(self.path, problem, "unpack it, and import what is in it")
        for member in members:
            try:
                opened = archive.open(member)
            except _DAMAGE as error:
                raise self._damaged(error) from error
            with opened:
                yield opened

    def _chunks(self, member: _Readable) -> Iterator[bytes]:
        while True:
            try:
                chunk = member.read(CHUNK_BYTES)
            except _DAMAGE as error:
                raise self._damaged(error) from error
            if not chunk:
                return
            self.unpacked_bytes += len(chunk)
            self._check_size()
            yield chunk

    def _check_size(self) -> None:
        unpacked = self.unpacked_bytes
        if unpacked > UNPACKED_BYTES_MAX:
            problem = f"it unpacks to more than {UNPACKED_BYTES_MAX >> 30} GiB"
        elif unpacked > RATIO_FREE_BYTES and unpacked > RATIO_MAX * self.path.stat().st_size:
            problem = f"it unpacks to more than {RATIO_MAX} times its size, as no market data does"
        else:
            return
        raise ArchiveError(self.path, problem, "if you trust it, unpack it and import what is in it")

    def _damaged(self, error: Exception) -> ArchiveError:
        reason = " ".join(str(error).split()) or type(error).__name__
        problem = f"it is cut short or damaged after {self.unpacked_bytes} bytes of its content ({reason})"
        return ArchiveError(self.path, problem, "download it again: nothing of a damaged file is imported")
