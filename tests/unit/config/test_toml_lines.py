"""The line of every key, whatever surrounds it."""

from __future__ import annotations

from postillon.server.toml_lines import locate


def test_keys_and_tables_are_found() -> None:
    lines = locate('[server]\nhostname = "a"\n\n# [no]\n[smtp]\nmax_size = 3\n')
    assert lines["server",] == 1
    assert lines["server", "hostname"] == 2
    assert lines["smtp", "max_size"] == 6
    assert ("no",) not in lines


def test_tables_of_an_array_are_numbered_from_0() -> None:
    lines = locate("[[listener]]\nport = 1\n[[listener]]\nport = 2\n[listener.tls]\nkey = 3\n")
    assert lines["listener", 0, "port"] == 2
    assert lines["listener", 1] == 3
    assert lines["listener", 1, "port"] == 4
    assert lines["listener", 1, "tls", "key"] == 6


def test_strings_and_brackets_that_look_like_keys_are_values() -> None:
    text = "\n".join(
        [
            'a = """',
            "[smtp]",
            'b = 1 """',
            "c = [",
            '  "]", # ]',
            "  { d = '[x]' },",
            "]",
            'e = "say \\"f = 1\\""',
            "'g.h'.i = '''",
            "j = 1'''",
            "k = 1",
        ]
    )
    lines = locate(text)
    assert set(lines) == {("a",), ("c",), ("e",), ("g.h",), ("g.h", "i"), ("k",)}
    assert lines["k",] == 11


def test_any_text_comes_to_an_end() -> None:
    for text in ["=", "]", "[", "a", "a=", 'a="', "a='''", "\x00", "[[", "a.b.", "..=1"]:
        locate(text)
