"""The commands on a store in PostgreSQL: a server set up, a second one joined, all of them asked."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from click.testing import CliRunner, Result

from postillon.server.main import main
from support import postgres

ADA = "ada@example.org"


@pytest.fixture
def database(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A database without tables, by TCP, and the file with its password."""
    server = postgres.cluster()
    if isinstance(server, postgres.NoPostgres):
        pytest.skip(str(server))
    name = server.create()
    secret = tmp_path / "password"
    secret.write_text(postgres.PASSWORD + "\n")
    yield server.url(name, tcp=True), secret
    server.drop(name)


def postillon(*words: str | Path) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words])


def answer(*words: str | Path) -> object:
    done = postillon(*words, "--json")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_a_server_is_set_up_and_a_second_one_joins(
    tmp_path: Path, database: tuple[str, Path]
) -> None:
    url, secret = database
    where = ("--database", url, "--database-password", secret, "--loopback")
    who = ("--hostname", "mail.example.org", "--domain", "example.org", "--account", ADA)
    made = postillon("init", tmp_path / "a", *who, *where)
    assert made.exit_code == 0, made.output
    assert f"account   {ADA}" in made.stdout
    joined = postillon("init", tmp_path / "b", *who, *where)
    assert joined.exit_code == 0, joined.output
    assert "joined    a store with 1 domain;" in joined.stdout
    assert "password  " not in joined.stdout
    config = ("--config", tmp_path / "b" / "postillon.toml")
    checked = json.loads(postillon("check", "--json", *config).stdout)
    found = [item for item in checked["findings"] if item["key"] == "store.database"]
    assert {item["weight"] for item in found} == {"warning"}, "fsync is off here"
    assert [item["login"] for item in answer("account", "list", *config)] == [ADA]  # type: ignore[union-attr, attr-defined]
    for words in (
        ("domain", "list"),
        ("alias", "list"),
        ("group", "list"),
        ("queue", "list"),
        ("queue",),
        ("verify",),
    ):
        answer(*words, *config)
    explained = postillon("explain", ADA, "bob@example.org", *config)
    assert "not known" in explained.output
    refused = postillon("backup", tmp_path / "copy", *config)
    assert refused.exit_code == 1
    assert "pg_dump" in refused.stderr
    assert postgres.PASSWORD not in (tmp_path / "a" / "postillon.toml").read_text()


def test_what_is_wrong_with_the_database_is_told(
    tmp_path: Path, database: tuple[str, Path]
) -> None:
    url, secret = database
    secret.write_text("wrong\n")
    name = urlsplit(url).path[1:]
    who = ("--hostname", "mail.example.org", "--domain", "example.org", "--loopback")
    where = ("--database", url, "--database-password", secret)
    refused = postillon("init", tmp_path / "a", *who, *where)
    assert refused.exit_code == 1
    assert f"/{name}: password authentication failed" in refused.stderr
    assert "wrong" not in refused.stderr
    assert not (tmp_path / "a").exists()
    config = tmp_path / "postillon.toml"
    config.write_text(
        f'[server]\nhostname = "mail.example.org"\ndata = "data"\n[store]\ndatabase = "{url}"\n'
        f'database_password = "{secret}"\n'
    )
    checked = postillon("check", "--config", config)
    assert checked.exit_code == 1
    assert "store.database" in checked.stdout
    assert "pg_hba.conf" in checked.stdout
    asked = postillon("account", "list", "--config", config)
    assert asked.exit_code == 1
