"""backup, restore, export, import and verify as they are typed."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from postillon.admin.backup import outer_files
from postillon.server.commands import backup as backup_command
from postillon.server.commands.progress import Bar, rate_of
from postillon.server.config import parse
from postillon.server.main import main
from postillon.store.progress import Pace

FROM = b"From ada@example.org Thu Nov 26 10:15:00 2026\n"


class Shell:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def run(self, *arguments: str) -> Result:
        config = ["--config", str(self.folder / "postillon.toml")]
        return CliRunner().invoke(main, [*arguments, *config], prog_name="postillon")

    def ok(self, *arguments: str) -> str:
        result = self.run(*arguments)
        assert result.exit_code == 0, result.output
        return result.stdout

    def refused(self, *arguments: str) -> str:
        result = self.run(*arguments)
        assert result.exit_code == 1, result.output
        return result.output


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """A server with two accounts; ada has two messages from an mbox."""
    monkeypatch.setattr(backup_command, "NICENESS", 0)
    made = Shell(tmp_path / "server")
    result = CliRunner().invoke(
        main, ["init", str(made.folder), "--hostname", "mail.example.org", "--loopback"]
    )
    assert result.exit_code == 0, result.output
    with (made.folder / "postillon.toml").open("a") as file:
        file.write("[auth]\nargon2_memory = 8\nargon2_passes = 1\nscram_iterations = 4096\n")
    for login in ("ada@example.org", "bob@example.org"):
        made.ok("account", "add", login, "--no-password")
    (tmp_path / "inbox").write_bytes(b"".join(FROM + b"Subject: %d\n\nx\n\n" % n for n in range(2)))
    assert "2 messages" in made.ok("import", "ada@example.org", str(tmp_path / "inbox"))
    return made


def test_a_backup_is_made_listed_checked_and_restored(shell: Shell, tmp_path: Path) -> None:
    target = str(tmp_path / "backups")
    assert "Emails       2" in shell.ok("backup", target)
    shell.ok("backup", target)
    made = json.loads(shell.ok("backup", target, "--keep", "2", "--rate", "1 GiB", "--json"))
    assert len(made["removed"]) == 1
    assert len(json.loads(shell.ok("backup", target, "--list", "--json"))) == 2
    assert "is sound" in shell.ok("backup", target, "--check")
    again = tmp_path / "again"
    told = shell.ok("restore", target, "--into", str(again))
    assert "configuration" in told
    kept = again / "configuration" / str(shell.folder / "postillon.toml").lstrip("/")
    text = (shell.folder / "postillon.toml").read_text()
    assert kept.read_text() == text
    (tmp_path / "postillon.toml").write_text(text.replace('data = "data"', f'data = "{again}"'))
    other = Shell(tmp_path)
    assert f"{again}: all is sound" in other.ok("verify")
    assert "ada@example.org" in other.ok("account", "list")
    assert "needs an empty folder" in shell.refused("restore", target, "--into", str(again))


def test_files_the_configuration_names_are_kept_or_missed(tmp_path: Path) -> None:
    (tmp_path / "key.pem").write_text("secret")
    text = (
        '[tls]\ncertificate = "gone.pem"\nkey = "key.pem"\n'
        '[route]\ncredentials = "/run/credentials/x"\n'
        f'[[listener]]\nprotocol = "lmtp"\npath = "{tmp_path}/lmtp.sock"\n'
    )
    config = parse(text, tmp_path)
    named = list(backup_command.named_files(config))
    assert named == [tmp_path / "gone.pem", tmp_path / "key.pem"]
    outer = outer_files(tmp_path / "data", named)
    assert [item.octets for item in outer] == [None, b"secret"]
    assert outer_files(tmp_path, named) == [], "what lies in the data folder comes with it"


def test_a_damaged_backup_is_named(shell: Shell, tmp_path: Path) -> None:
    target = tmp_path / "backups"
    shell.ok("backup", str(target))
    [pack] = (target / "packs").iterdir()
    os.truncate(pack, 50)
    assert "has 50 octets" in shell.refused("backup", str(target), "--check")
    assert "no complete backup" in shell.refused("backup", str(tmp_path / "none"), "--check")
    assert "cannot lie in" in shell.refused("backup", str(shell.folder / "data" / "backups"))


def test_a_part_comes_back_into_the_account_or_to_disk(shell: Shell, tmp_path: Path) -> None:
    target = str(tmp_path / "backups")
    shell.ok("backup", target)
    origin = ("restore", target, "--account", "ada@example.org")
    found = json.loads(shell.ok(*origin, "--list", "--match", "1", "--json"))
    assert [item["subject"] for item in found] == ["1"]
    assert "2 messages" in shell.ok(*origin)
    assert "There already" in shell.ok(*origin)
    assert "1 messages" in shell.ok(
        *origin, "--message", str(found[0]["id"]), "--to", "bob@example.org", "--below", "Found"
    )
    for kind in ("eml", "mbox", "maildir", "archive"):
        out = tmp_path / kind
        assert "2 messages" in shell.ok(*origin, "--out", str(out), "--format", kind)
    assert (tmp_path / "eml" / "INBOX" / "1.eml").read_bytes() == b"Subject: 0\r\n\r\nx\r\n"
    shell.refused(*origin, "--message", "999999")
    assert "nearest: ada@example.org" in shell.refused(
        "restore", target, "--account", "adda@example.org"
    )
    assert shell.run("restore", target).exit_code == 2
    assert shell.run(*origin, "--moved").exit_code == 2


def test_what_is_exported_is_imported_by_another(shell: Shell, tmp_path: Path) -> None:
    out = str(tmp_path / "out")
    assert "2 messages" in shell.ok("export", "ada@example.org", out)
    assert (tmp_path / "out" / "messages.jsonl").exists(), "plain files are the default"
    assert "2 messages" in shell.ok("import", "bob@example.org", out)
    assert "There already  2" in shell.ok("import", "bob@example.org", out)
    assert "no mailbox Play" in shell.refused(
        "export", "ada@example.org", str(tmp_path / "x"), "--mailbox", "Play"
    )


def test_bad_messages_are_named_and_skipped_on_request(shell: Shell, tmp_path: Path) -> None:
    file = tmp_path / "bad"
    file.write_bytes(FROM + b"Subject: nul\n\n\0\n\n" + FROM + b"Subject: good\n\nx\n\n")
    assert "bad at offset 0: the message holds NUL" in shell.refused(
        "import", "bob@example.org", str(file)
    )
    told = shell.ok("import", "bob@example.org", str(file), "--skip-bad")
    assert "1 messages" in told
    assert "bad at offset 0: the message holds NUL" in told


def test_verify_mends_on_request(shell: Shell, tmp_path: Path) -> None:
    target = tmp_path / "backups"
    shell.ok("backup", str(target))
    pack = shell.folder / "data" / "packs" / "0000000001.pack"
    octets = bytearray(pack.read_bytes())
    octets[60] ^= 1
    pack.write_bytes(octets)
    assert "no sound record" in shell.refused("verify")
    assert "no sound record" in shell.refused("verify", "--repair")
    shell.ok("verify", "--quick")
    told = json.loads(shell.ok("verify", "--repair", "--backup", str(target), "--json"))
    assert [item["mended"] for item in told] == [True]
    assert "all is sound" in shell.ok("verify")
    assert shell.run("verify", "--backup", str(target)).exit_code == 2


def test_progress_says_part_octets_things_speed_and_what_is_left() -> None:
    now = [0.0]
    out = io.StringIO()
    bar = Bar("messages", out, lambda: now[0])
    pace = Pace(bar)
    pace.begin("messages", 4 << 20)
    now[0] = 2.0
    pace.step(1 << 20, 1_000)
    assert out.getvalue() == (
        "\rmessages  [#####---------------]  25%  1 MiB of 4 MiB  1,000 messages  512 KiB/s"
        "  0:06 left\x1b[K"
    )
    bar.end()
    assert out.getvalue().endswith("\r\x1b[K")


def test_a_rate_is_a_size() -> None:
    assert rate_of("2 MiB") == 2 << 20
    assert rate_of(None) is None
    for wrong in ("fast", "0 B"):
        with pytest.raises(click.UsageError):
            rate_of(wrong)
