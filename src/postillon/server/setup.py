"""The first administrator, made over HTTP by whoever can read a file of the server.

While there is no administrator, a code lies in a file of the data folder. Whoever shows it may make
the first domain and the first administrator, once; then the file goes. Nobody else can take a new
server over.
"""

from __future__ import annotations

import hmac
import os
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from postillon.admin import accounts, domains
from postillon.admin.accounts import AccountView, NewAccount
from postillon.admin.desk import Desk
from postillon.admin.domains import DomainChange
from postillon.admin.errors import Refused
from postillon.admin.passwords import generate
from postillon.log import Log
from postillon.store.operation import Steps, Store

MAX_CODE = 200  # characters of a code that is compared


class WrongCode(Exception):
    """The code is not the one in the file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstSteps:
    """code: from the file. domain: its first one; login: of the administrator, in that domain."""

    code: str
    domain: str
    login: str
    password: str
    name: str = ""
    language: str = ""


def code_file(data: Path) -> Path:
    return data / "run" / "setup-code"


async def is_open(store: Store) -> bool:
    """Whether there is no administrator yet who could sign in."""
    return not await store.query(_administrators())


async def offer(store: Store, data: Path, log: Log) -> None:
    """Lay down a code where one is needed, and take it away where it is not."""
    path = code_file(data)
    if not await is_open(store):
        path.unlink(missing_ok=True)
        return
    if not path.exists():
        _lay_down(path)
    log.warning("no_administrator", remedy="set up at /admin", code=str(path))


def _lay_down(path: Path) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with open(descriptor, "w", encoding="ascii") as file:
        file.write(f"{generate()}\n")


async def begin(desk: Desk, data: Path, steps: FirstSteps) -> AccountView:
    """Make domain and administrator. Raises WrongCode, or Refused: then the code stays good."""
    if not await is_open(desk.store):
        raise Refused("this server has an administrator", "sign in")
    if not _fits(data, steps.code):
        raise WrongCode
    local, at, domain = steps.login.rpartition("@")
    if not local or not at or domain.lower() != steps.domain.lower():
        raise Refused(f"{steps.login} is not in {steps.domain}", "write the whole address")
    desk = replace(desk, who="setup")
    if await desk.directory.domain(steps.domain) is None:
        await domains.create(desk, steps.domain, DomainChange())
    new = NewAccount(
        login=steps.login, name=steps.name, password=steps.password, admin=True,
        language=steps.language,
    )  # fmt: skip
    made = await accounts.create(desk, new)
    with suppress(OSError):
        code_file(data).unlink()
    return made


def _fits(data: Path, given: str) -> bool:
    try:
        expected = code_file(data).read_text(encoding="ascii").strip()
    except OSError:
        return False
    # Compared without telling by its time where the first difference is.
    return bool(expected) and hmac.compare_digest(
        expected.encode(), given.strip()[:MAX_CODE].encode()
    )


def _administrators() -> Steps[bool]:
    rows = yield (
        "SELECT 1 FROM principal p JOIN credential c ON c.principal = p.principal"
        " WHERE p.admin = 1 AND p.enabled = 1 LIMIT 1",
        (),
    )
    return bool(rows)
