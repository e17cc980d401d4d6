"""The scripts that begin everything say what is missing."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
TOOLS = ("bash", "sha256sum", "cat", "mktemp", "rm", "grep", "basename", "readlink", "dirname")


def run(folder: Path, pythons: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Prepare an environment in an empty checkout, with these programs as the only Pythons."""
    programs = folder / "bin"
    programs.mkdir()
    for tool in TOOLS:
        found = shutil.which(tool)
        assert found is not None
        (programs / tool).symlink_to(found)
    for name, body in pythons.items():
        (programs / name).write_text(f"#!{shutil.which('bash')}\n{body}\n")
        (programs / name).chmod(0o755)
    shutil.copytree(ROOT / "scripts", folder / "scripts")
    shutil.copy(ROOT / "pyproject.toml", folder)
    return subprocess.run(
        ["bash", "-c", ". scripts/environment.sh; prepare_environment run"],
        cwd=folder,
        env={"PATH": str(programs)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("script", ["demo", "test", ".ci/run", "scripts/environment.sh"])
def test_scripts_are_bash(script: str) -> None:
    subprocess.run(["bash", "-n", str(ROOT / script)], check=True)


def test_without_a_python_it_is_told_what_to_install(tmp_path: Path) -> None:
    done = run(tmp_path, {"python3": "exit 1"})  # one that is too old says so by its exit code
    assert done.returncode != 0
    assert "needs Python 3.11 or newer" in done.stderr
    assert "apt install python3 python3-venv" in done.stderr
    assert not (tmp_path / ".venv").exists()


def test_without_its_venv_module_it_is_told_which_package_has_it(tmp_path: Path) -> None:
    body = 'case "$1" in -m) echo "ensurepip is not available" >&2; exit 1;; esac'
    done = run(tmp_path, {"python3.12": body})
    assert done.returncode != 0
    assert "apt install python3.12-venv" in done.stderr
    assert not (tmp_path / ".venv").exists()
