"""The command line: `postillon`, whose commands are imported only when they are used."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping

import click

from postillon import __version__

# name: module below server.commands, the command in it, one line of help
COMMANDS: Mapping[str, tuple[str, str, str]] = {
    "demo": ("demo", "demo", "Try Postillon on this machine, with no configuration."),
    "init": ("init", "init", "Set up a new server: starter file, first domain and account."),
    "check": ("check", "check", "Explain what is wrong with a configuration."),
    "serve": ("serve", "serve", "Run the server."),
    "domain": ("domain", "domain", "Domains whose mail this server answers for."),
    "account": ("account", "account", "People and shared accounts, their addresses and passwords."),
    "alias": ("alias", "alias", "Addresses that lead to other addresses."),
    "group": ("group", "group", "Addresses that lead to their members."),
    "api-key": ("signing_in", "api_key", "Keys of the administration API."),
    "logins": ("logins", "logins", "Who signs in or fails to, and who is kept from it."),
    "limits": ("limits", "limits", "What is allowed at most, and how much of it is in use."),
    "queue": ("queue", "queue", "Mail that waits: what, why and until when; what to do about it."),
    "trace": ("trace", "trace", "What happened to a message, and why."),
    "audit": ("audit", "audit", "What administrators have done, and when."),
    "explain": ("explain", "explain", "How a message would travel; nothing is sent."),
    "backup": ("backup", "backup", "A consistent copy of everything, beside the running server."),
    "restore": (
        "restore",
        "restore",
        "From a backup: everything, an account, a mailbox, a message.",
    ),
    "export": ("export", "export", "An account's mail as mbox, Maildir or plain files."),
    "import": ("import_", "import_", "Mail from mbox files, Maildirs and exports."),
    "verify": ("verify", "verify", "Prove rows and octets against each other; mend them."),
    "dns": ("dns", "dns", "The DNS records to publish for a domain."),
    "autoconfig": ("autoconfig", "autoconfig", "What clients are told that set themselves up."),
    "completion": ("completion", "completion", "Completion for bash, zsh or fish."),
}


class LazyGroup(click.Group):
    """Lists its commands from the table, and imports the module of one when it runs."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, attribute, _ = COMMANDS[cmd_name]
        found = getattr(importlib.import_module(f"postillon.server.commands.{module}"), attribute)
        if not isinstance(found, click.Command):
            raise TypeError(f"{module}.{attribute} is no command")
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, about) for name, (_, _, about) in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="postillon")
def main() -> None:
    """Postillon, a messaging server.

    Commands find the configuration by --config FILE, --data DIR (of a demo), the variable
    POSTILLON_CONFIG, ./postillon.toml or /etc/postillon/postillon.toml. They work beside the running
    server. Exit codes: 0 done, 1 refused, 2 wrong usage.
    """


if __name__ == "__main__":
    sys.exit(main())
