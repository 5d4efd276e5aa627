"""The ``tapehead`` command: its verbs, and the one place where an error becomes a message."""

import os
import sys
import traceback
from collections.abc import Sequence

import typer

from engine.errors import TapeheadError
from recorder.commands import (
    add,
    backup,
    book,
    chaos,
    demo,
    export,
    gaps,
    import_,
    load,
    record,
    remove,
    replay,
    report,
    rest,
    schema,
    simulate,
    spool,
    sql,
    symbols,
    verify,
    version,
)
from recorder.errors import ExitCode, exit_code, from_os_error
from recorder.output import Output

__all__ = ["main"]

EXIT_CODES = """
Exit codes: 0 done; 1 a check found a difference; 2 an option, file or name that cannot be;
3 the machine or the network does not let us (no network, folder in use, port taken, disk full);
4 a fault of tapehead itself. TAPEHEAD_DEBUG=1 shows the traceback of an error.
"""

app = typer.Typer(
    name="tapehead",
    help="Record the Bybit V5 market into embedded ClickHouse, and ask it anything in SQL.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command("demo")(demo.demo)
app.command("record")(record.record)
app.command("add")(add.add)
app.command("remove")(remove.remove)
app.command("simulate", context_settings=simulate.CONTEXT)(simulate.simulate)
app.command("sql")(sql.sql)
app.command("verify")(verify.verify)
app.command("symbols")(symbols.symbols)
app.command("gaps")(gaps.gaps)
app.command("chaos")(chaos.chaos)
app.command("book")(book.book)
app.command("export")(export.export)
app.command("replay")(replay.replay)
app.add_typer(spool.app)
app.command("load")(load.load)
app.command("version")(version.version)
app.command("import")(import_.import_)
app.command("schema")(schema.schema)
app.command("report")(report.report)
app.command("backup")(backup.backup)
app.command("rest")(rest.rest)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; an error is one message, without a traceback."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    output = Output(as_json="--json" in arguments)
    try:
        return int(app(args=list(arguments), prog_name="tapehead", standalone_mode=False) or ExitCode.OK)
    except typer.TyperException as error:
        message = error.format_message() if hasattr(error, "format_message") else str(error)
        output.error(message, ExitCode.USAGE, "see --help")
        return ExitCode.USAGE
    except (typer.Abort, KeyboardInterrupt):
        return 130
    except Exception as error:  # noqa: BLE001 (the outermost frame: what is not known is reported as our fault)
        return _report(error, output)


def _report(error: Exception, output: Output) -> int:
    if os.environ.get("TAPEHEAD_DEBUG", "") not in ("", "0"):
        traceback.print_exception(error)
    known = from_os_error(error) if isinstance(error, OSError) else error
    if not isinstance(known, TapeheadError):
        problem = f"this is a fault of tapehead: {type(error).__name__}: {error}"
        output.error(
            f"{problem}: run it again with TAPEHEAD_DEBUG=1 and report what it prints", ExitCode.INTERNAL
        )
        return ExitCode.INTERNAL
    code = exit_code(known)
    output.error(str(known), code, known.remedy)
    return code
