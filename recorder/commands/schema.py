"""``tapehead schema``."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from engine.errors import ConfigError, UsageError
from recorder.commands.options import AsJson
from recorder.database.retention import moved, whole_days
from recorder.database.schema import Layout, create_database, tables, views
from recorder.database.users import users
from recorder.errors import ExitCode
from recorder.folder import DataFolder
from recorder.output import Output

if TYPE_CHECKING:
    from recorder.database.clickhouse import Database

__all__ = ["schema"]


def schema(
    show: Annotated[bool, typer.Option("--print", help="Print the statements. [default]")] = False,
    apply: Annotated[
        bool, typer.Option("--apply", help="Create what is missing, migrate what is older.")
    ] = False,
    diff: Annotated[
        bool,
        typer.Option("--diff", help="Name what differs; exit code 1 if anything does."),
    ] = False,
    database: Annotated[str, typer.Option(help="http(s) URL of a server.")] = "",
    data: Annotated[Path | None, typer.Option(help="The folder of a recording.")] = None,
    cluster: Annotated[str, typer.Option(help="Cluster of the server's configuration.")] = "",
    ttl: Annotated[str, typer.Option(help='Keep rows of the market so long: "90d"; "0d" for ever.')] = "",
    move_to_volume: Annotated[str, typer.Option(help="Volume of the policy that old parts move to.")] = "",
    after: Annotated[str, typer.Option(help='With --move-to-volume: after so long, "7d".')] = "",
    storage_policy: Annotated[str, typer.Option(help="Storage policy of the tables.")] = "",
    with_users: Annotated[
        bool, typer.Option("--users", help="With --print: the users of a server, without passwords.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """The tables and views of a database: print them, apply them, or name what differs.

    User and password of a server come from TAPEHEAD_CLICKHOUSE_USER and TAPEHEAD_CLICKHOUSE_PASSWORD.
    """
    if show + apply + diff > 1:
        raise UsageError("of --print, --apply and --diff one at a time", "leave the others out")
    if with_users and (apply or diff):
        raise UsageError("--users prints statements", "pass what --print --users prints to clickhouse-client")
    if data is not None and (cluster or move_to_volume or storage_policy or database):
        raise UsageError("an embedded database has no server, cluster or volumes", "leave --data out")
    options = _Options(cluster, ttl, move_to_volume, after, storage_policy)
    output = Output(as_json=as_json)
    if not apply and not diff:
        _print(output, options.over(Layout()), with_users=with_users)
        return
    if not database and data is None:
        raise UsageError("no database was named", "add --database URL, or --data DIR")
    if apply:
        _apply(output, options, database, data)
    else:
        _diff(output, options, database, data)


class _Options:
    """What was asked for; what was not is as the database has it."""

    def __init__(self, cluster: str, ttl: str, volume: str, after: str, policy: str) -> None:
        self.cluster = cluster
        self._ttl_days = whole_days("--ttl", ttl) if ttl else None
        self._moved = moved(volume, after)
        self._policy = policy
        for name, value in (
            ("--cluster", cluster),
            ("--move-to-volume", volume),
            ("--storage-policy", policy),
        ):
            if value and not value.isidentifier():
                raise ConfigError(name, value, "a name is letters, digits and _", "look at the server's own")

    def over(self, layout: Layout) -> Layout:
        """Return the layout with what was asked for."""
        if self.cluster:
            layout = replace(layout, cluster=self.cluster)
        if self._ttl_days is not None:
            layout = replace(layout, ttl_days=self._ttl_days)
        if self._moved is not None:
            layout = replace(layout, volume=self._moved[0], move_days=self._moved[1])
        return replace(layout, policy=self._policy) if self._policy else layout


def _print(output: Output, layout: Layout, *, with_users: bool) -> None:
    statements = users(layout) if with_users else [create_database(layout), *tables(layout), *views(layout)]
    if not with_users and not layout.cluster:
        statements.insert(1, f"USE {layout.database}")
    output.say("\n\n".join(f"{text};" for text in statements))
    output.result({"statements": statements})


def _apply(output: Output, options: _Options, url: str, data: Path | None) -> None:
    from recorder.database.retention import rearrange
    from recorder.database.schema_diff import live_layout

    with _opened(url, data, options, create=True) as database:
        layout = options.over(live_layout(database))
        done = database.create_schema(layout)
        done += rearrange(database, live_layout(database), layout)
    output.say("\n".join(done) if done else "nothing was missing")
    output.result({"done": done})


def _diff(output: Output, options: _Options, url: str, data: Path | None) -> None:
    from recorder.database.schema_diff import differences, live_layout

    with _opened(url, data, options, create=False) as database:
        found = differences(database, options.over(live_layout(database)))
    output.say("\n".join(found) if found else "no difference")
    output.result({"differences": found})
    if found:
        raise typer.Exit(ExitCode.CHECK_FAILED)


def _opened(url: str, data: Path | None, options: _Options, *, create: bool) -> "Database":
    from recorder.database.clickhouse import (  # the database engine takes a second to load
        open_embedded,
        open_server,
    )
    from recorder.queries.server import open_for_reading

    if url:
        return open_server(url, create=create, layout=Layout(cluster=options.cluster))
    folder = DataFolder(Path() if data is None else data)
    return open_embedded(folder.existing().database) if create else open_for_reading(folder.path)
