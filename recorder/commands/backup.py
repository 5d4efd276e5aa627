"""``tapehead backup``."""

from pathlib import Path
from typing import Annotated

import typer

from recorder.backup import backup as backups
from recorder.commands.options import AsJson, Data
from recorder.folder import DataFolder
from recorder.output import Output

__all__ = ["backup"]


def backup(
    to: Annotated[Path, typer.Option(help="A folder for the backups of this recording.")],
    data: Data = Path("data"),
    keep: Annotated[int, typer.Option(min=1, help="How many backups are kept there.")] = 1,
    as_json: AsJson = False,
) -> None:
    """Copy a recording, database and spool, while it goes on or not; it can go on from the copy.

    On the same disk by hard links, which cost no room and are no help when the disk breaks; on another one
    by copies of what the backup before has not. docs/operations.md says what to do with it.
    """
    output = Output(as_json=as_json)
    made = backups.back_up(DataFolder(data).existing(), to, keep=keep)
    how = "hard links: no help if this disk breaks" if made.is_linked else "copies"
    output.say(str(made.folder))
    output.say(f"{made.files:,} files, {made.bytes:,} bytes, {made.new_bytes:,} of them new ({how})")
    output.say(f"{'while it was recorded' if made.is_recorded else 'at rest'}, {made.seconds:.1f} s")
    if not made.has_database:
        output.say("the database is not in it: it is no embedded one")
    output.result(made.to_dict())
