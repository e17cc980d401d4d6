"""The fuzz targets of SMTP, for a moment: their seeds and a few hundred mutations."""

import importlib.util
import random
from pathlib import Path

import pytest

FUZZ = Path(__file__).resolve().parents[2] / "fuzz"


def load(name):
    spec = importlib.util.spec_from_file_location(f"fuzz_{name}", FUZZ / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["smtp_server", "smtp_client"])
def test_target_finds_nothing_in_a_moment(name):
    target, runner = load(name), load("run")
    chance = random.Random(7)
    corpus = list(target.SEEDS)
    folder = FUZZ / "corpus" / name
    for data in corpus + (
        [path.read_bytes() for path in folder.glob("*")] if folder.is_dir() else []
    ):
        target.one(data)
    for _ in range(300):
        target.one(runner.mutated(chance.choice(corpus), corpus, chance))
