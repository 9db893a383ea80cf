"""The program `zentry`.

Commands import what they need when they run, so that `zentry version` answers at once. An expected
failure is one readable message and a non-zero exit; a traceback means that nobody expected it.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

import zentry
from zentry.platform.starting import CannotStart

app = typer.Typer(
    name="zentry",
    help="Zentry Cloud: machines, prepaid credits that cannot be overspent, metrics, one API.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
database = typer.Typer(help="Look after the database's schema.", no_args_is_help=True)
admin = typer.Typer(help="Look after administrators.", no_args_is_help=True)
app.add_typer(database, name="db")
ledger = typer.Typer(help="Look after the books.", no_args_is_help=True)
app.add_typer(admin, name="admin")
app.add_typer(ledger, name="ledger")
audit = typer.Typer(help="Look after the log of what happened.", no_args_is_help=True)
app.add_typer(audit, name="audit")
keys = typer.Typer(help="Look after the keys that seal texts in the database.", no_args_is_help=True)
app.add_typer(keys, name="keys")

HostOption = Annotated[str | None, typer.Option(help="Address to listen on (ZENTRY_SERVER__HOST).", show_default=False)]
PortOption = Annotated[
    int | None, typer.Option(help="Port to listen on; 0 takes a free one (ZENTRY_SERVER__PORT).", show_default=False)
]
DataDirOption = Annotated[
    Path | None, typer.Option("--data-dir", help="Directory of the data (ZENTRY_DATA_DIR).", show_default=False)
]


def main() -> None:
    """Run the program; the entry point of the package."""
    try:
        app()
    except Exception as error:  # The edge of the process: what is expected becomes one message.
        message = error.args[0] if isinstance(error, CannotStart) else _explain(error)
        if message is None:
            raise
        sys.stdout.flush()
        sys.stderr.write(f"zentry: {message}\n")
        sys.exit(1)


def _explain(error: Exception) -> str | None:
    from zentry.cli.explanations import explain

    return explain(error)


@app.command()
def serve(
    host: HostOption = None,
    port: PortOption = None,
    data_dir: DataDirOption = None,
    time_scale: Annotated[
        float | None,
        typer.Option(
            min=1, max=600, help="Let time run this many times as fast, for demonstrations.", show_default=False
        ),
    ] = None,
) -> None:
    """Run the whole platform in one process: API and worker."""
    from zentry.cli.configuration import load_settings

    settings = load_settings(host=host, port=port, data_dir=data_dir)
    from zentry.cli.serving import run

    run(settings, api=True, worker=True, migrate=settings.database.migrate_on_start, time_scale=time_scale)


@app.command()
def api(host: HostOption = None, port: PortOption = None, data_dir: DataDirOption = None) -> None:
    """Run the API alone; a worker must run beside it."""
    from zentry.cli.configuration import load_settings

    settings = load_settings(host=host, port=port, data_dir=data_dir)
    from zentry.cli.serving import run

    run(settings, api=True, worker=False, migrate=False)


@app.command()
def worker(data_dir: DataDirOption = None) -> None:
    """Run the worker alone: operations, metering, samples."""
    from zentry.cli.configuration import load_settings

    settings = load_settings(data_dir=data_dir)
    from zentry.cli.serving import run

    run(settings, api=False, worker=True, migrate=False)


@app.command()
def simulate(
    scenario: Annotated[
        str | None, typer.Argument(help="A .toml file, or the name of a scenario that comes with the program.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="What all chance grows from.")] = 1,
    days: Annotated[
        float | None, typer.Option(min=0.001, max=3650, help="How long, instead of what it says.", show_default=False)
    ] = None,
    html: Annotated[
        Path | None, typer.Option(help="Write a page with charts to this file.", show_default=False)
    ] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    """Run the whole platform on virtual time; without a scenario, list those that come with it."""
    from zentry.cli.simulating import list_scenarios
    from zentry.cli.simulating import simulate as run

    if scenario is None:
        list_scenarios()
    elif not run(scenario, seed=seed, days=days, html=html, as_json=as_json):
        raise typer.Exit(1)


@database.command("upgrade")
def database_upgrade(data_dir: DataDirOption = None) -> None:
    """Bring the schema to what this program works with."""
    from zentry.cli.database import upgrade

    upgrade(data_dir)


@database.command("current")
def database_current(data_dir: DataDirOption = None) -> None:
    """Print the database's revision, and this program's."""
    from zentry.cli.database import current

    current(data_dir)


@database.command("check")
def database_check(data_dir: DataDirOption = None) -> None:
    """Compare the database with the declared tables; exit 1 where they differ."""
    from zentry.cli.database import check

    raise typer.Exit(0 if check(data_dir) else 1)


@ledger.command("verify")
def ledger_verify(
    account: Annotated[str | None, typer.Option(help="Id of one account.", show_default=False)] = None,
    data_dir: DataDirOption = None,
) -> None:
    """Check every entry of the books against its hash and the balances; exit 1 where they were changed."""
    from zentry.cli.ledger import verify

    raise typer.Exit(0 if verify(account, data_dir) else 1)


@audit.command("verify")
def audit_verify(
    file: Annotated[
        Path | None, typer.Option(help="Check this export instead of the database.", show_default=False)
    ] = None,
    data_dir: DataDirOption = None,
) -> None:
    """Follow the chain of the event log; exit 1 and say where, if anything was changed."""
    from zentry.cli.audit import verify

    raise typer.Exit(0 if verify(file, data_dir) else 1)


@audit.command("export")
def audit_export(
    after: Annotated[int, typer.Option(min=0, help="Begin behind this position.")] = 0, data_dir: DataDirOption = None
) -> None:
    """Write the event log as lines of JSON, without personal data, to standard output."""
    from zentry.cli.audit import export

    export(after, data_dir)


@keys.command("status")
def keys_status(data_dir: DataDirOption = None) -> None:
    """Count the sealed texts under each key; exit 1 where some cannot be opened."""
    from zentry.cli.keys import status

    raise typer.Exit(0 if status(data_dir) else 1)


@keys.command("rotate")
def keys_rotate(data_dir: DataDirOption = None) -> None:
    """Seal anew what is not under the newest key; it may be stopped at any time and run again."""
    from zentry.cli.keys import rotate

    raise typer.Exit(0 if rotate(data_dir) else 1)


@admin.command("create")
def admin_create(
    email: Annotated[str, typer.Option(prompt=True, help="E-mail to sign in with.")],
    name: Annotated[str, typer.Option(help="Name of the person.")] = "Administrator",
    data_dir: DataDirOption = None,
    *,
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password from standard input instead of asking.")
    ] = False,
) -> None:
    """Create an administrator, or make one of the account that has this e-mail."""
    if password_stdin:
        password = sys.stdin.readline().rstrip("\r\n")
    else:
        password = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    from zentry.cli.administration import create

    create(email, name, password, data_dir)


@app.command()
def openapi() -> None:
    """Print the OpenAPI document as JSON."""
    from zentry.cli.document import print_document

    print_document()


@app.command()
def doctor(host: HostOption = None, port: PortOption = None, data_dir: DataDirOption = None) -> None:
    """Say in plain words what is wrong with the configuration or the environment."""
    from zentry.cli.doctor import examine

    raise typer.Exit(0 if examine(host=host, port=port, data_dir=data_dir) else 1)


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(zentry.__version__)
