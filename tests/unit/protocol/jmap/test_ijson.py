"""I-JSON: every text has one meaning, or it is refused (RFC 7493, RFC 8620 section 1.8)."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postillon.protocol.jmap.ijson import MAX_DEPTH, NotIJson, decode

texts = st.text(st.characters(exclude_categories=["Cs", "Cn"]), max_size=20)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | texts,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(texts, inner, max_size=5),
    max_leaves=30,
)


@given(values, st.booleans())
def test_what_is_i_json_is_read_as_it_is(value: Any, escaped: bool) -> None:
    assert decode(json.dumps(value, ensure_ascii=escaped).encode()) == value


@given(st.binary(max_size=60))
def test_anything_is_read_or_refused(octets: bytes) -> None:
    try:
        decode(octets)
    except NotIJson:
        return
    json.loads(octets)


@pytest.mark.parametrize(
    ("octets", "why"),
    [
        (b'{"a": 1, "a": 1}', "twice"),
        (b'{"b": [{"x": 1, "y": 2, "x": 3}]}', "twice"),
        (b'"\xff"', "UTF-8"),
        (b'"\xed\xa0\x80"', "UTF-8"),
        (b'"\\ud800"', "surrogate"),
        (b'["\\udc00\\ud800"]', "surrogate"),
        (b'{"\\uffff": 1}', "no character"),
        ("[\"\ufdd0\"]".encode(), "no character"),
        ("\"\U0001fffe\"".encode(), "no character"),
        (b"NaN", "no number"),
        (b"[-Infinity]", "no number"),
        (b"1e999", "too large"),
        (b"{'a': 1}", "property name"),
        (b'{"a": 1,}', "property name"),
        (b"", "Expecting value"),
        (b"\xef\xbb\xbf{}", "BOM|Expecting value"),
        (b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1), "levels"),
        (b"[" * 100_000, "levels"),
        (b'{"a":' * 100_000, "levels"),
    ],
)  # fmt: skip
def test_what_is_not_is_refused(octets: bytes, why: str) -> None:
    with pytest.raises(NotIJson, match=why):
        decode(octets)


def test_a_pair_of_surrogates_is_one_character() -> None:
    assert decode(b'"\\ud83d\\ude00"') == "\U0001f600"


def test_as_deep_as_is_allowed() -> None:
    assert decode(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH)
