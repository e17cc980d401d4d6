import pytest

from postillon.account.errors import BadKeyword, TooManyKeywords
from postillon.account.keywords import (
    MAX_KEYWORD,
    MAX_KEYWORDS,
    check_keyword,
    check_keywords,
    join_keywords,
    split_keywords,
)
from postillon.account.ranges import lists, merge, ranges_of, tables


def test_keywords_are_compared_without_regard_to_case() -> None:
    assert check_keywords(["$Junk", "$junk", "NonJunk"]) == {"$junk", "nonjunk"}


@pytest.mark.parametrize(
    "word",
    ["", "a b", "a(b", 'a"b', "a\\b", "a%b", "a*b", "a{b", "a]b", "ä", "a\0", "x\n", "x" * 256],
)
def test_what_no_client_may_set_is_refused(word: str) -> None:
    # RFC 8621 section 4.1.1
    with pytest.raises(BadKeyword):
        check_keyword(word)


def test_a_flag_with_a_bit_is_no_keyword() -> None:
    with pytest.raises(BadKeyword):
        check_keywords(["$SEEN"])


def test_keywords_of_one_email_are_bounded() -> None:
    check_keywords("k" * n for n in range(1, MAX_KEYWORDS + 1))
    with pytest.raises(TooManyKeywords):
        check_keywords(str(n) for n in range(MAX_KEYWORDS + 1))
    assert check_keyword("k" * MAX_KEYWORD)


def test_the_column_is_sorted_and_read_back() -> None:
    words = frozenset({"b", "a", "c"})
    assert join_keywords(words) == "a b c"
    assert split_keywords("a b c") == words
    assert join_keywords(frozenset()) is None
    assert split_keywords(None) == frozenset()


def test_ranges_are_merged_and_made() -> None:
    assert merge([(5, 7), (1, 2), (3, 3), (9, 8), (6, 6)]) == [(1, 3), (5, 9)]
    assert merge([]) == []
    assert ranges_of([1, 2, 3, 7, 9, 10]) == [(1, 3), (7, 7), (9, 10)]
    assert ranges_of([]) == []


def test_parameters_are_padded_to_few_sizes() -> None:
    assert list(lists([])) == []
    assert list(lists([7, 8])) == [("?,?,?,?", [7, 8, 0, 0])]
    assert [len(values) for _, values in lists(list(range(1, 1030)))] == [1024, 16]
    [(text, values)] = tables([(1, 2), (3, 4)])
    assert text.count("(") == 4 + 2  # CAST( twice
    assert values == [1, 2, 3, 4, 0, 0, 0, 0]
    assert list(tables([])) == []
