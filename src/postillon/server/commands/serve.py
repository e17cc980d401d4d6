"""`postillon serve`: the server, in the foreground, until it is told to stop."""

from __future__ import annotations

from pathlib import Path

import click

from postillon.server.commands.common import REFUSED, guarded, refuse
from postillon.server.config import find, load


@click.command()
@click.option("--config", type=click.Path(path_type=Path), help="Configuration file.")
@click.option("--data", type=click.Path(path_type=Path), help="Data folder of a demo.")
@guarded
def serve(config: Path | None, data: Path | None) -> None:
    """Run the server in the foreground. SIGTERM or Ctrl-C ends it, SIGHUP reads certificates again."""
    from postillon.net.tls import TlsError
    from postillon.server.data_folder import FolderInUse
    from postillon.server.listeners import ListenError
    from postillon.server.privileges import PrivilegeError
    from postillon.server.supervisor import StartFailed, run

    file = find(config, data)
    try:
        run(load(file))
    except (
        TlsError,
        FolderInUse,
        ListenError,
        PrivilegeError,
        StartFailed,
        FileExistsError,
    ) as error:
        refuse(str(error), f"more: postillon check --config {file}")
        raise click.exceptions.Exit(REFUSED) from None
