"""The reference of all commands, made from their declarations: docs/cli.md.

`python -m postillon.server.cli_reference` prints it; a test compares it with the file in the tree.
"""

from __future__ import annotations

import inspect
import sys

import click

from postillon.server.main import main

INTRODUCTION = """\
# The command line

This page is made from the commands (`python -m postillon.server.cli_reference`); a test holds the two
together.

* **Where.** Commands find the configuration by `--config FILE`, `--data DIR` (of a demo), the variable
  `POSTILLON_CONFIG`, `./postillon.toml` or `/etc/postillon/postillon.toml`. They open the data folder
  beside the running server, which sees each change at once; without a server they work too.
* **Who.** Run them as the account of the server. As root they first become the owner of the data
  folder.
* **Answers.** Tables for people; with `--json` everything for programs, refusals too (on standard
  error). Sizes in JSON are octets, times milliseconds since 1970 UTC.
* **Exit codes.** 0 done, 1 refused (the text says why, and what was probably meant), 2 wrong usage.
* **Passwords** are asked for, read from a file, or made and shown once. They are never arguments:
  everybody on the machine can read those.
* **Completion.** `postillon completion bash > ~/.local/share/bash-completion/completions/postillon`
"""
EVERYWHERE = {"config", "data", "as_json"}  # told once, above


def reference() -> str:
    """The whole page as Markdown."""
    return "\n".join([INTRODUCTION, *_sections(main, "postillon", None)])


def _sections(command: click.Command, name: str, parent: click.Context | None) -> list[str]:
    context = click.Context(command, info_name=name, parent=parent)
    if not isinstance(command, click.Group):
        return [_section(command, context)]
    below = []
    for word in command.list_commands(context):
        inner = command.get_command(context, word)
        assert inner is not None
        below += _sections(inner, word, context)
    return below


def _section(command: click.Command, context: click.Context) -> str:
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    help_text = inspect.cleandoc(command.help or "").replace("\b\n", "")
    lines = [f"## `{context.command_path}`", "", f"    {usage}", "", help_text, ""]
    options = [
        item
        for item in command.get_params(context)
        if isinstance(item, click.Option)
        and item.name not in EVERYWHERE
        and "--help" not in item.opts
    ]
    for item in options:
        record = item.get_help_record(context)
        assert record is not None
        lines.append(f"* `{record[0]}` {record[1]}")
    return "\n".join([*lines, ""] if options else lines)


if __name__ == "__main__":
    sys.stdout.write(reference())
