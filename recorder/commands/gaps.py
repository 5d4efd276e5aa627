"""``tapehead gaps``: the ledger of what is missing."""

from typing import Final

from recorder.commands.options import AsJson, Folder
from recorder.folder import DataFolder
from recorder.output import Output

__all__ = ["gaps"]

LEDGER: Final = """
SELECT start, end, category, topic, cause, fault, missing, detail
FROM gaps
ORDER BY start, category, topic
"""


def gaps(folder: Folder, as_json: AsJson = False) -> None:
    """List what is missing from a recording: from when to when, which topic, why, through whose fault."""
    from recorder import asking  # the database engine takes a second to load

    answer = asking.ask(DataFolder(folder), LEDGER)
    output = Output(as_json=as_json)
    if answer.rows:
        output.table(answer.columns, answer.rows)
    output.say(f"{len(answer.rows)} gaps" + (" so far" if any(row[1] is None for row in answer.rows) else ""))
    output.result({"gaps": [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]})
