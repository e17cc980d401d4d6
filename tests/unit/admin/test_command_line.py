"""The commands as they are typed: their answers, their refusals, their exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from postillon.server.main import COMMANDS, LazyGroup, main


class Shell:
    """Runs commands against one data folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.runner = CliRunner()

    def run(self, *arguments: str) -> Result:
        config = ["--config", str(self.folder / "postillon.toml")]
        return self.runner.invoke(main, [*arguments, *config], prog_name="postillon")

    def ok(self, *arguments: str) -> str:
        result = self.run(*arguments)
        assert result.exit_code == 0, result.output
        return result.stdout

    def refused(self, *arguments: str) -> str:
        result = self.run(*arguments)
        assert result.exit_code == 1, result.output
        return result.stderr


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    made = Shell(tmp_path / "server")
    result = made.runner.invoke(
        main,
        ["init", str(made.folder), "--hostname", "mail.example.org", "--loopback"],
    )
    assert result.exit_code == 0, result.output
    assert "postmaster@example.org (administrator)" in result.stdout
    with (made.folder / "postillon.toml").open("a") as file:
        file.write("[auth]\nargon2_memory = 8\nargon2_passes = 1\nscram_iterations = 4096\n")
    return made


def test_every_command_can_be_loaded_and_explains_itself() -> None:
    group = main
    assert isinstance(group, LazyGroup)
    for name in COMMANDS:
        result = CliRunner().invoke(main, [name, "--help"])
        assert result.exit_code == 0, name
        assert result.stdout.startswith("Usage:")


def test_help_imports_nothing_but_the_command_line() -> None:
    program = (
        "import sys; from postillon.server.main import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'asyncio', 'apsw', 'aiohttp', 'cryptography', 'msgspec', 'dns'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)


def test_init_overwrites_nothing(shell: Shell) -> None:
    before = (shell.folder / "postillon.toml").read_bytes()
    result = shell.runner.invoke(main, ["init", str(shell.folder), "--hostname", "m.example.org"])
    assert result.exit_code == 1
    assert "exists" in result.stderr
    assert (shell.folder / "postillon.toml").read_bytes() == before
    other = shell.folder.parent / "other"
    (other / "data").mkdir(parents=True)
    (other / "data" / "mine").touch()
    result = shell.runner.invoke(main, ["init", str(other), "--hostname", "m.example.org"])
    assert result.exit_code == 1
    assert sorted(path.name for path in other.rglob("*")) == ["data", "mine"]


def test_an_init_that_fails_leaves_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "new"
    password = tmp_path / "password"
    password.write_text("x\x00y\n")  # no password can hold NUL
    arguments = ["--hostname", "m.example.org", "--password-file", str(password)]
    result = CliRunner().invoke(main, ["init", str(folder), *arguments])
    assert result.exit_code == 1, result.output
    assert not folder.exists()


def test_domains_accounts_aliases_and_groups_in_tables(shell: Shell) -> None:
    shell.ok("domain", "add", "example.net", "--separator", "-")
    made = shell.ok("account", "add", "ada@example.net", "--generate", "--quota", "2 GiB")
    assert "0 B of 2 GiB" in made
    assert "Password, shown only now: " in made
    shell.ok("account", "add", "bob@example.net", "--no-password", "--name", "Bob")
    shell.ok("alias", "add", "team@example.net", "ada@example.net", "bob@example.net")
    shell.ok("group", "add", "all@example.net", "ada@example.net")
    assert shell.ok("account", "list", "example.net").splitlines() == [
        "Account          Name  Emails  Used  Quota      Rights  Enabled",
        "ada@example.net  -          0  0 B   2 GiB      -       yes",
        "bob@example.net  Bob        0  0 B   unlimited  -       yes",
    ]
    assert "team@example.net  ada@example.net, bob@example.net" in shell.ok("alias", "list")
    assert "all@example.net" in shell.ok("group", "list")
    assert "example.net         2        1       1" in shell.ok("domain", "list")


def test_mailboxes_are_shared_and_taken_back(shell: Shell) -> None:
    shell.ok("account", "add", "info@example.org", "--shared")
    shell.ok("account", "add", "bob@example.org", "--no-password")
    shell.ok("group", "add", "team@example.org", "bob@example.org")
    assert "Nothing is shared" in shell.ok("account", "shares", "info@example.org")
    shell.ok("account", "share", "info@example.org", "*", "team@example.org", "write")
    shell.ok("account", "share", "info@example.org", "Sent", "team@example.org", "-wite")
    shell.ok("account", "share", "info@example.org", "Sent", "anyone", "read")
    shown = shell.ok("account", "shares", "info@example.org").splitlines()
    assert shown[:3] == [
        "Mailbox  Who               Rights",
        "*        team@example.org  lrswikxte",
        "INBOX    team@example.org  lrswikxte",
    ]
    assert shown[-3:-1] == ["Sent     anyone            lrs", "Sent     team@example.org  lrskx"]
    shell.ok("account", "share", "info@example.org", "*", "team@example.org", "none")
    shell.ok("account", "share", "info@example.org", "Sent", "anyone", "none")
    assert json.loads(shell.ok("account", "shares", "info@example.org", "--json")) == []


def test_what_cannot_be_shared_is_refused_with_a_hint(shell: Shell) -> None:
    shell.ok("account", "add", "ada@example.org", "--no-password")
    shell.ok("account", "add", "bob@example.org", "--no-password")
    share = ("account", "share", "ada@example.org")
    assert "nearest: Sent" in shell.refused(*share, "Snet", "bob@example.org", "read")
    assert "nearest: bob@example.org" in shell.refused(*share, "Sent", "bobb@example.org", "read")
    assert "the owner" in shell.refused(*share, "Sent", "ada@example.org", "read")
    assert "lrswipkxtea" in shell.refused(*share, "Sent", "bob@example.org", "lz")


def test_every_answer_has_its_json(shell: Shell) -> None:
    made = json.loads(shell.ok("account", "add", "ada@example.org", "--generate", "--json"))
    assert made["account"]["login"] == "ada@example.org"
    assert len(made["password"]) == 23
    for noun in ("domain", "account", "alias", "group"):
        assert isinstance(json.loads(shell.ok(noun, "list", "--json")), list)
    result = shell.run("account", "show", "adda@example.org", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stderr) == {
        "error": "there is no account or group adda@example.org",
        "hint": "nearest: ada@example.org",
    }


def test_a_password_comes_from_a_file_or_a_terminal_never_from_the_line(shell: Shell) -> None:
    file = shell.folder / "secret"
    file.write_text("correct horse battery\n")
    shell.ok("account", "add", "ada@example.org", "--password-file", str(file))
    made = shell.ok("account", "password", "ada@example.org", "--generate")
    assert "correct horse" not in made
    assert shell.run("account", "add", "eve@example.org").exit_code == 2
    assert shell.run("account", "add", "eve@example.org", "--password", "x").exit_code == 2


def test_what_cannot_be_undone_wants_yes(shell: Shell) -> None:
    shell.ok("account", "add", "ada@example.org", "--no-password")
    assert shell.run("account", "remove", "ada@example.org").exit_code == 2
    shell.ok("account", "remove", "ada@example.org", "--yes")
    assert "nearest" not in shell.refused("account", "show", "ada@example.org")


def test_refusals_name_the_nearest_and_end_with_1_wrong_usage_with_2(shell: Shell) -> None:
    assert "nearest: postmaster@" in shell.refused("account", "show", "postmastr@example.org")
    assert "nearest: example.org" in shell.refused("domain", "show", "example.com")
    assert shell.run("domain", "set", "example.org").exit_code == 2
    assert shell.run("account", "add", "x@example.org", "--quota", "lots").exit_code == 2
    assert shell.runner.invoke(main, ["nonsense"]).exit_code == 2


def test_without_a_configuration_the_places_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("POSTILLON_CONFIG", raising=False)
    result = CliRunner().invoke(main, ["domain", "list"])
    assert result.exit_code == 1
    assert "looked for postillon.toml, /etc/postillon/postillon.toml" in result.stderr
    assert "postillon init" in result.stderr


def test_explain_tells_every_step(shell: Shell) -> None:
    told = shell.ok("explain", "<>", "postmaster+tag@example.org")
    assert "null sender is a stranger" in told
    assert "mailbox of this server, sub-address 'tag'" in told
    result = shell.run("explain", "eve@example.com", "bob@example.net")
    assert result.exit_code == 1
    assert "refused: 5.7.1" in result.stdout


def test_verify_finds_a_new_store_sound(shell: Shell) -> None:
    assert "all is sound" in shell.ok("verify")


@pytest.mark.parametrize("name", ["bash", "zsh", "fish"])
def test_completion_scripts_name_our_command(name: str) -> None:
    result = CliRunner().invoke(main, ["completion", name])
    assert result.exit_code == 0
    assert "_POSTILLON_COMPLETE" in result.stdout
