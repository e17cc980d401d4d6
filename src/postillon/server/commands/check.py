"""`postillon check`: what is wrong with a configuration, and with the machine it is for."""

from __future__ import annotations

from pathlib import Path

import click

from postillon.server.check import Weight
from postillon.server.check import check as check_all
from postillon.server.commands.common import REFUSED, Place, place_options
from postillon.server.commands.tables import answer
from postillon.server.config import find, load
from postillon.server.config_reader import ConfigProblems
from postillon.server.loop import run


@click.command()
@click.option("--offline", is_flag=True, help="Look up no names.")
@place_options
def check(place: Place, offline: bool) -> None:
    """Explain what is wrong with a configuration: file, line, key, and what to write.

    Then look at the machine: ports, folders, certificate, secrets, next hops. Exit code 0 when the
    server would start, 1 when it would not.
    """
    file = find(place.config, place.data)
    try:
        config = load(file)
    except ConfigProblems as error:
        if not place.as_json:
            raise
        answer(True, {"file": str(file), "problems": error.problems, "findings": []}, str)
        raise click.exceptions.Exit(REFUSED) from None
    findings = run(check_all(config, network=not offline))
    errors = sum(finding.weight is Weight.ERROR for finding in findings)

    def text() -> str:
        lines = [
            f"{finding.weight.value}: {finding.key}: {finding.what}\n    {finding.hint}"
            for finding in findings
        ]
        return "\n".join([*lines, _verdict(file, errors, len(findings) - errors)])

    answer(place.as_json, {"file": str(file), "problems": [], "findings": findings}, text)
    if errors:
        raise click.exceptions.Exit(REFUSED)


def _verdict(file: Path, errors: int, warnings: int) -> str:
    counts = [
        f"{count} {word}{'' if count == 1 else 's'}"
        for count, word in ((errors, "error"), (warnings, "warning"))
        if count
    ]
    if errors:
        return f"{file}: {', '.join(counts)}; the server would not start"
    return f"{file}: {', '.join(counts) or 'all is well'}; the server can start"
