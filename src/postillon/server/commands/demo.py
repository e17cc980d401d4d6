"""`postillon demo`: a real server on loopback that needs no configuration."""

from __future__ import annotations

from pathlib import Path

import click

from postillon.server.commands.common import REFUSED, guarded, refuse


@click.command()
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="Folder for everything it keeps; default: demo-data.",
)
@click.option("--port-shift", type=int, help="Add this to every port, for a second demo.")
@click.option("--workers", type=click.IntRange(1, 64), help="Worker processes.")
@guarded
def demo(data: Path | None, port_shift: int | None, workers: int | None) -> None:
    """Try Postillon on this machine: two domains, four accounts, ports above 2000, own TLS.

    Accounts and passwords are printed. Ctrl-C stops it; the next start finds the same mail.
    """
    from postillon.net.tls import TlsError
    from postillon.server.data_folder import FolderInUse
    from postillon.server.demo import FOLDER, run
    from postillon.server.listeners import ListenError
    from postillon.server.privileges import PrivilegeError
    from postillon.server.supervisor import StartFailed

    try:
        run(data or FOLDER, shift=port_shift, workers=workers)
    except ListenError as error:
        refuse(str(error), "or move all ports of the demo: --port-shift 1000")
    except (TlsError, FolderInUse, PrivilegeError, StartFailed, FileExistsError) as error:
        refuse(str(error))
    else:
        return
    raise click.exceptions.Exit(REFUSED)
