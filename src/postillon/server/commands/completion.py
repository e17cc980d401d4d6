"""`postillon completion`: the script that lets a shell complete our commands."""

from __future__ import annotations

import click
from click.shell_completion import BashComplete, FishComplete, ShellComplete, ZshComplete

SHELLS: dict[str, type[ShellComplete]] = {
    "bash": BashComplete,
    "zsh": ZshComplete,
    "fish": FishComplete,
}


@click.command()
@click.argument("shell", type=click.Choice(list(SHELLS)))
def completion(shell: str) -> None:
    """Print the completion script for a shell.

    \b
    bash: postillon completion bash > ~/.local/share/bash-completion/completions/postillon
    zsh:  postillon completion zsh > ~/.zfunc/_postillon
    fish: postillon completion fish > ~/.config/fish/completions/postillon.fish
    """
    root = click.get_current_context().find_root().command
    click.echo(SHELLS[shell](root, {}, "postillon", "_POSTILLON_COMPLETE").source())
