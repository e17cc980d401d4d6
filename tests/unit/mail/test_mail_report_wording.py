"""Catalogues of texts: every language says everything, with the same placeholders, typeset properly."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields
from string import Formatter

import pytest

from postillon.mail.wording.catalogue import Cause, Explained, Wording
from postillon.mail.wording.languages import WORDINGS, choose, is_tag, listed

ENGLISH = WORDINGS["en"]
OTHERS = [wording for language, wording in WORDINGS.items() if language != "en"]


def texts(wording: Wording) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Every text by its key; forms of a plural together."""
    for field in fields(wording):
        value = getattr(wording, field.name)
        if isinstance(value, str):
            yield field.name, (value,)
        elif isinstance(value, tuple):
            yield field.name, value
    for cause, explained in wording.causes.items():
        yield f"{cause.name} what", (explained.what,)
        yield f"{cause.name} advice", (explained.advice,)


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name is not None}


def test_english_french_and_german_are_there() -> None:
    assert {"en", "fr", "de"} <= set(WORDINGS)
    assert all(wording.language == language for language, wording in WORDINGS.items())


@pytest.mark.parametrize("wording", WORDINGS.values(), ids=list(WORDINGS))
def test_every_language_explains_every_cause(wording: Wording) -> None:
    assert set(wording.causes) == set(Cause)
    assert all(isinstance(one, Explained) for one in wording.causes.values())


@pytest.mark.parametrize("wording", OTHERS, ids=lambda wording: wording.language)
def test_every_language_has_every_text_with_the_same_placeholders(wording: Wording) -> None:
    expected = {key: set().union(*map(placeholders, forms)) for key, forms in texts(ENGLISH)}
    found = {key: set().union(*map(placeholders, forms)) for key, forms in texts(wording)}
    assert found == expected


@pytest.mark.parametrize("wording", WORDINGS.values(), ids=list(WORDINGS))
def test_every_number_has_a_form_and_no_text_is_empty(wording: Wording) -> None:
    assert len(wording.weekdays) == 7
    assert len(wording.months) == 12
    for key, forms in texts(wording):
        assert all(form.strip() and form == form.strip() for form in forms), key
        assert not any("  " in form or "\n" in form for form in forms), key
        if any("{count}" in form for form in forms):
            for count in (0, 1, 2, 5, 21, 100):
                assert wording.plural(count) < len(forms), key


@pytest.mark.parametrize("wording", WORDINGS.values(), ids=list(WORDINGS))
def test_labels_end_with_their_colon(wording: Wording) -> None:
    labels = [forms[0] for key, forms in texts(wording) if key.startswith("label_")]
    assert all(label.endswith(":") for label in labels)


def test_french_has_its_spaces_and_apostrophes() -> None:
    """A no-break space before : and inside « », a narrow one before ; ! ? and no straight quotes."""
    for key, forms in texts(WORDINGS["fr"]):
        for form in forms:
            assert "'" not in form, key
            assert '"' not in form, key
            assert not re.search(r"[ \w](?:[:»])", re.sub(r"\{[^}]*\}", "x", form)), key
            assert not re.search(r"[ \w][;!?]", form), key
            assert not re.search(r"«(?!\u00a0)", form), key


def test_german_has_its_quotation_marks() -> None:
    for key, forms in texts(WORDINGS["de"]):
        assert not any('"' in form or "'" in form for form in forms), key
        assert not any(re.search(r"\b(?:du|dein|dir|dich|euch)\b", form) for form in forms), key


def test_english_needs_no_more_than_ascii() -> None:
    """So that its reports are plain text which any program reads."""
    assert all(form.isascii() for _, forms in texts(ENGLISH) for form in forms)


# The choice -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tags", "language"),
    [
        (("de-CH",), "de"),
        (("FR",), "fr"),
        (("", "fr-CA"), "fr"),
        (("pt-BR", "ja", "de"), "de"),
        (("pt",), "en"),
        ((), "en"),
    ],
)
def test_the_first_language_that_has_a_catalogue_is_chosen(
    tags: tuple[str, ...], language: str
) -> None:
    assert choose(tags).language == language


@pytest.mark.parametrize(
    ("value", "tags"),
    [
        (b"de-DE, en-US", ["de-DE", "en-US"]),
        (b"en;q=0.3, fr;q=0.9, de", ["de", "fr", "en"]),
        (b"da, en-gb;q=0.8, *;q=0.1", ["da", "en-gb"]),
        (b"de (deutsch), fr;q=0", ["de"]),
        (b"en;q=high, \xff\xfe, fr", ["fr"]),
        (b"", []),
        (b"," * 5_000 + b"de", []),
    ],
)
def test_languages_are_read_best_first(value: bytes, tags: list[str]) -> None:
    assert listed(value) == tags


def test_a_tag_has_its_shape() -> None:
    assert all(map(is_tag, ("en", "de-CH", "zh-Hant-TW", "sr-Latn")))
    assert not any(map(is_tag, ("", "d_e", "de-", "-de", "verylonglanguage", "de CH")))
