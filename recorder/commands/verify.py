"""``tapehead verify``."""

import typer

from recorder.commands.options import AsJson, Folder
from recorder.errors import ExitCode
from recorder.folder import DataFolder
from recorder.output import Output

__all__ = ["verify"]


def verify(folder: Folder, as_json: AsJson = False) -> None:
    """Hold the tables of a recording against its spool: every row there, once, and every book equal."""
    from recorder.query import open_for_reading  # the database engine takes a second to load
    from recorder.verify import verify as compare

    place = DataFolder(folder).existing()
    output = Output(as_json=as_json)
    with open_for_reading(place.path) as database:
        report = compare(place.spool, database, place.recorder())
    output.say(report.text())
    output.result(report.to_dict())
    if not report.is_right:
        raise typer.Exit(ExitCode.CHECK_FAILED)
