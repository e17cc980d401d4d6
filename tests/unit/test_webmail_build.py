"""The web client is built when its sources have changed, from what its lock names; texts agree."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ROOT / "webmail"
PLACE = re.compile(r"\{(\w+)\}")


@pytest.fixture(scope="module")
def builder() -> ModuleType:
    spec = importlib.util.spec_from_file_location("webmail", ROOT / "packaging" / "webmail.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def checkout(tmp_path: Path, builder: ModuleType) -> Path:
    """A checkout with the sources of the client, built as far as its stamp says."""
    kept = shutil.ignore_patterns("node_modules")
    shutil.copytree(SOURCES, tmp_path / "webmail", ignore=kept)
    out: Path = builder.output(tmp_path)
    out.mkdir(parents=True)
    (out / builder.STAMP).write_text(builder.fingerprint(tmp_path / "webmail") + "\n")
    return tmp_path


def test_what_was_built_stays_good_whatever_the_times_of_files(
    builder: ModuleType, checkout: Path
) -> None:
    assert builder.current(checkout)
    os.utime(checkout / "webmail" / "index.html", (0, 0))
    assert builder.current(checkout)


@pytest.mark.parametrize("change", ["edit", "add", "remove", "rename", "lock", "unbuilt"])
def test_every_change_of_a_source_makes_it_old(
    builder: ModuleType, checkout: Path, change: str
) -> None:
    source = checkout / "webmail" / "src" / "main.tsx"
    match change:
        case "edit":
            source.write_text(source.read_text() + "\n")
        case "add":
            (source.parent / "more.ts").write_text("")
        case "remove":
            source.unlink()
        case "rename":
            source.rename(source.with_name("other.tsx"))
        case "lock":
            lock = checkout / "webmail" / "package-lock.json"
            lock.write_text(lock.read_text().replace("sha512-", "sha512-x", 1))
        case "unbuilt":
            shutil.rmtree(builder.output(checkout))
    assert not builder.current(checkout)


def test_the_lock_file_names_versions_and_hashes_and_no_registry() -> None:
    lock = json.loads((SOURCES / "package-lock.json").read_text())
    packages = {name: item for name, item in lock["packages"].items() if name}
    assert packages
    for name, item in packages.items():
        assert item["integrity"].startswith("sha512-"), name
        assert "resolved" not in item, name
    assert "registry" not in (SOURCES / "package-lock.json").read_text()


def test_what_is_depended_on_is_pinned_exactly() -> None:
    wanted = json.loads((SOURCES / "package.json").read_text())
    for name, version in {**wanted["dependencies"], **wanted["devDependencies"]}.items():
        assert re.fullmatch(r"\d+\.\d+\.\d+", version), name


def catalogue(name: str) -> dict[str, str]:
    text = (SOURCES / "src" / "i18n" / f"{name}.ts").read_text()
    return dict(re.findall(r"^  (\w+): (.+),$", text, re.MULTILINE))


@pytest.mark.parametrize("name", ["de", "fr"])
def test_a_translation_fills_in_the_same_values(name: str) -> None:
    english, other = catalogue("en"), catalogue(name)
    assert english.keys() == other.keys()
    for key, text in english.items():
        wanted = set(PLACE.findall(text)) - {"n"}
        assert set(PLACE.findall(other[key])) - {"n"} == wanted, key


def test_every_text_is_used() -> None:
    code = "\n".join(
        path.read_text() for path in (SOURCES / "src").rglob("*.ts*") if path.parent.name != "i18n"
    )
    code += (SOURCES / "src" / "i18n" / "index.ts").read_text()
    methods = "|".join(f"why_{name}" for name in ("spf", "dkim", "dmarc", "arc"))
    kinds = "from|to|subject|list|header|size|attachment"
    how = "contains|notContains|is|isNot|over|under|attachment_is|attachment_isNot"
    # Their names are put together.
    made = rf"role_|delivered_|({methods})\Z|rule_({kinds}|{how})\Z"
    unused = [
        key for key in catalogue("en")
        if not re.match(made, key) and not re.search(rf"\b{key}\b", code)
    ]  # fmt: skip
    assert unused == []
