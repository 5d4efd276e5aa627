"""A copy of a recording, taken while it goes on, from which it can go on. docs/operations.md says how.

The order makes it whole: states, sealed segments, commit marks, tables, and what came into the spool since.
So a state in it is of rows in it, the spool reaches at least as far as the tables, and what is in neither is
after the last record.
"""

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import orjson

from engine.clock import NS_PER_S, Clock, SystemClock
from engine.errors import UsageError
from recorder import __version__, shards
from recorder.backup import database as backup_database
from recorder.backup.files import Stage, bring, can_link, missing_bytes, write_manifest
from recorder.errors import MachineError
from recorder.folder import POISON_FOLDER, DataFolder
from recorder.loading import state as states
from recorder.spool.durable import sync_folder
from recorder.spool.lock import FolderInUseError, FolderLock
from recorder.spool.seals import EXPIRED_FILE, covers, read_gone, read_seal, seal_path
from recorder.spool.segments import Segment, segments

__all__ = ["BACKUP_FILE", "BACKUP_LOCK", "Backup", "back_up"]

BACKUP_FILE: Final = "backup.json"
BACKUP_FORMAT: Final = 1
BACKUP_LOCK: Final = "backup.lock"
PARTIAL: Final = ".partial"
STAGE: Final = f"backup{PARTIAL}"
TRIES_MAX: Final = 20
_NAME: Final = re.compile(r"\d{8}T\d{9}Z")


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup that was made.

    ``new_bytes`` of its ``bytes`` were not in the one before. ``is_linked``: its files are those of the
    recording under other names, and take no room until the recording removes them. ``is_recorded``: the
    recording went on meanwhile. ``has_database`` is false where the database is a server.
    """

    folder: Path
    recorders: tuple[str, ...]
    files: int
    bytes: int
    new_bytes: int
    is_linked: bool
    is_recorded: bool
    has_database: bool
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**asdict(self), "folder": str(self.folder)}


def back_up(place: DataFolder, to: Path, *, keep: int = 1, clock: Clock | None = None) -> Backup:
    """Make a backup of a recording in a new folder in ``to``, and remove those but the latest ``keep``.

    Args:
        place: the recording; may go on.
        to: an empty or new folder, or one of backups of this recording.
        keep: at least 1.
        clock: for the name.

    Raises:
        UsageError: ``to`` is something else.
        MachineError: another backup is under way, segments are being loaded anew, there is no room.
        OSError: of the files; nothing is left behind then.
    """
    clock = clock or SystemClock()
    begun = clock.now()
    recorders = tuple(place.recorder(shard) for shard in shards.existing(place))
    identity = {"data": str(place.path.absolute()), "recorders": list(recorders)}
    former = _latest(to, identity, place)
    to.mkdir(parents=True, exist_ok=True)
    folder = to / _name(begun.wall_ns)
    partial = folder.with_name(folder.name + PARTIAL)
    with FolderLock(place.path, BACKUP_LOCK):
        partial.mkdir()
        try:
            is_linked = can_link(place.path / BACKUP_LOCK, partial)
            is_recorded, has_database = _fill(place, partial, former, is_linked=is_linked)
            facts = identity | {"format": BACKUP_FORMAT, "version": __version__, "made_ns": begun.wall_ns}
            (partial / BACKUP_FILE).write_bytes(orjson.dumps(facts, option=orjson.OPT_INDENT_2))
            files, total, new = write_manifest(partial, former)
            partial.rename(folder)
            sync_folder(to)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
        for old in _all(to)[:-keep]:
            shutil.rmtree(old)
    seconds = (clock.now().mono_ns - begun.mono_ns) / NS_PER_S
    return Backup(folder, recorders, files, total, new, is_linked, is_recorded, has_database, seconds)


# where it goes


def _name(wall_ns: int) -> str:
    when = datetime.fromtimestamp(wall_ns // NS_PER_S, UTC)
    return f"{when:%Y%m%dT%H%M%S}{wall_ns // 1_000_000 % 1000:03}Z"


def _all(to: Path) -> list[Path]:
    return sorted(path for path in to.iterdir() if _NAME.fullmatch(path.name))


def _latest(to: Path, identity: dict[str, Any], place: DataFolder) -> Path | None:
    """The backup before, whose files are not copied again; what an interrupted one left is removed."""
    if to.absolute().is_relative_to(place.path.absolute()):
        problem = f"{to} is in the recording's own folder {place.path}, and would be lost with it"
        raise UsageError(problem, "choose a folder elsewhere, best on another disk")
    if not to.exists():
        return None
    if not to.is_dir():
        raise UsageError(f"{to} is no folder", "choose a folder with --to")
    unfinished = [path for path in to.iterdir() if _NAME.fullmatch(path.name.removesuffix(PARTIAL))]
    unfinished = [path for path in unfinished if path.name.endswith(PARTIAL)]
    done = _all(to)
    strangers = sorted(path.name for path in to.iterdir() if path not in done and path not in unfinished)
    if strangers:
        problem = (
            f"{to} holds {', '.join(strangers[:3])}{' ...' if strangers[3:] else ''}, which are no backups"
        )
        raise UsageError(problem, "choose an empty or a new folder with --to")
    for one in done:
        _check_ours(one, identity)
    for path in unfinished:
        shutil.rmtree(path)
    return done[-1] if done else None


def _check_ours(backup: Path, identity: dict[str, Any]) -> None:
    try:
        said = orjson.loads((backup / BACKUP_FILE).read_bytes())
        of = {name: said[name] for name in identity}
    except (OSError, KeyError, ValueError):
        raise UsageError(f"{backup} is no backup", "choose an empty or a new folder with --to") from None
    if of != identity:
        problem = f"{backup} is a backup of {of['data']} ({', '.join(of['recorders'])})"
        raise UsageError(problem, "choose a folder of its own for each recording with --to")


# what goes into it


def _fill(place: DataFolder, partial: Path, former: Path | None, *, is_linked: bool) -> tuple[bool, bool]:
    if is_linked:
        return _pin(place, Stage(place.path, partial))
    staged = place.path / STAGE
    shutil.rmtree(staged, ignore_errors=True)
    try:
        told = _pin(place, Stage(place.path, staged))
        needed, free = missing_bytes(staged, former), shutil.disk_usage(partial).free
        if needed > free:
            problem = f"{partial.parent} has {free} bytes free, and {needed} are to be copied"
            raise MachineError(problem, "make room, or choose another folder with --to")
        bring(staged, partial, former)
    finally:
        shutil.rmtree(staged, ignore_errors=True)
    return told


def _pin(place: DataFolder, stage: Stage) -> tuple[bool, bool]:
    """Take everything as of now; say whether it was recorded meanwhile, and whether there is a database."""
    with _at_rest(place) as is_at_rest:
        if place.wish.exists():
            remedy = "wait until the recording has done it; where none runs, `tapehead load` does it"
            raise MachineError(f"segments of {place.path} are being loaded anew", remedy)
        spools = [place.spool_of(shard) for shard in shards.existing(place)]
        reached = {spool: _pin_sealed(spool, stage) for spool in spools}
        has_database = backup_database.exists(place.database)
        if has_database:
            backup_database.pin(place.database, stage)
        for spool, number in reached.items():
            _pin_rest(spool, stage, number)
        for path in sorted(place.path.glob(f"{POISON_FOLDER}/*/*")):
            stage.copy(path)
        if place.server_file.exists():
            stage.copy(place.server_file)
    return not is_at_rest, has_database


@contextmanager
def _at_rest(place: DataFolder) -> Iterator[bool]:
    """Keep a recording that does not run from beginning; say whether it does not."""
    try:
        lock = FolderLock(place.path)
    except FolderInUseError:
        yield False
        return
    with lock:
        yield True


def _pin_sealed(spool: Path, stage: Stage) -> int:
    """Take the states, and all segments but the last; return the number of the last one taken."""
    for _ in range(TRIES_MAX):
        gone = _bytes(spool / EXPIRED_FILE)
        stage.drop(spool)
        final = [segment for segment in segments(spool) if segment.is_started][:-1]
        try:
            for number in states.states(spool):
                stage.link(states.state_path(spool, number))
            for segment in final:
                _pin_segment(spool, segment, stage)
        except FileNotFoundError:
            continue  # compressed, expired or thinned out meanwhile
        if gone == _bytes(spool / EXPIRED_FILE):
            if gone is not None:
                stage.put(spool / EXPIRED_FILE, gone)
            numbers = [one.last_segment for one in read_gone(stage.of(spool))]
            return max([*numbers, *(segment.number for segment in final)], default=0)
    raise _too_fast(spool)


def _pin_segment(spool: Path, segment: Segment, stage: Stage) -> None:
    seal = read_seal(spool, segment.number)
    if segment.is_compressed or (seal is not None and seal.bytes == segment.bytes):
        stage.link(segment.path)
    else:
        stage.copy(segment.path)  # its end may still be cut
    if seal is not None:
        stage.link(seal_path(spool, segment.number))


def _pin_rest(spool: Path, stage: Stage, reached: int) -> None:
    """Take the segments after one, the last as it is now."""
    for _ in range(TRIES_MAX):
        started = [one for one in segments(spool) if one.is_started and one.number > reached]
        try:
            for segment in started[:-1]:
                _pin_segment(spool, segment, stage)
            for segment in started[-1:]:
                stage.copy(segment.path)
        except FileNotFoundError:
            continue
        if any(covers(read_gone(spool), number) for number in range(reached + 1, _last(started) + 1)):
            break
        return
    raise _too_fast(spool)


def _last(found: list[Segment]) -> int:
    return found[-1].number if found else 0


def _too_fast(spool: Path) -> MachineError:
    return MachineError(f"segments of {spool} come and go faster than they are linked", "try again later")


def _bytes(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
