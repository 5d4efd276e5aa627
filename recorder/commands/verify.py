"""``tapehead verify``."""

import typer

from recorder import shards
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
        reports = [
            compare(place.spool_of(shard), database, place.recorder(shard))
            for shard in shards.existing(place)
        ]
    output.say("\n\n".join(report.text() for report in reports))
    output.result(
        {**reports[0].to_dict(), "problems": [problem for report in reports for problem in report.problems]}
        | {"is_right": all(report.is_right for report in reports)}
        | {"shards": [report.to_dict() for report in reports[1:]]}
    )
    if not all(report.is_right for report in reports):
        raise typer.Exit(ExitCode.CHECK_FAILED)
