"""From octets to text: the declared charset, then UTF-8, then Windows-1252.

The names are a fixed list. Python's own registry also knows codecs that are no charsets (zip, idna,
rot13: bombs and quadratic ones among them) and remembers for ever each unknown name it is asked for.
"""

from __future__ import annotations

import codecs

# Declared name, lower case -> codec. Wider twins stand in where mail is labelled too narrowly, as
# browsers do (the WHATWG Encoding Standard): ISO-8859-1 is read as Windows-1252, GB2312 as GB18030.
_SINGLE = {
    **{f"iso-8859-{n}": f"iso8859_{n}" for n in (2, 3, 4, 5, 6, 7, 8, 10, 13, 14, 15, 16)},
    **{f"windows-{n}": f"cp{n}" for n in range(1250, 1259)},
    **{f"cp{n}": f"cp{n}" for n in range(1250, 1259)},
    **{f"{kind}{n}": f"cp{n}" for kind in ("cp", "ibm")
       for n in (437, 850, 852, 855, 857, 860, 862, 863, 865, 866)},
    "iso-8859-1": "cp1252", "iso8859-1": "cp1252", "iso_8859-1": "cp1252", "latin1": "cp1252",
    "latin-1": "cp1252", "l1": "cp1252", "x-ansi": "cp1252", "ansi": "cp1252",
    "iso8859-2": "iso8859_2", "latin2": "iso8859_2", "iso8859-15": "iso8859_15",
    "latin-9": "iso8859_15", "iso-8859-9": "cp1254", "iso8859-9": "cp1254", "latin5": "cp1254",
    "iso-8859-8-i": "iso8859_8", "iso-8859-11": "cp874", "tis-620": "cp874", "windows-874": "cp874",
    "koi8-r": "koi8_r", "koi8-u": "koi8_u", "koi8-t": "koi8_t", "macintosh": "mac_roman",
    "x-mac-roman": "mac_roman", "x-mac-cyrillic": "mac_cyrillic", "viscii": "cp1258",
}  # fmt: skip
_MULTIPLE = {
    "utf-7": "utf_7", "unicode-1-1-utf-7": "utf_7", "utf-16": "utf_16", "utf-16le": "utf_16_le",
    "utf-16be": "utf_16_be", "utf-32": "utf_32", "gb2312": "gb18030", "gb_2312-80": "gb18030",
    "gbk": "gb18030", "gb18030": "gb18030", "cp936": "gb18030", "x-gbk": "gb18030",
    "hz-gb-2312": "hz", "big5": "cp950", "big5-hkscs": "big5hkscs", "x-x-big5": "cp950",
    "shift_jis": "cp932", "shift-jis": "cp932", "sjis": "cp932", "x-sjis": "cp932",
    "windows-31j": "cp932", "cp932": "cp932", "euc-jp": "euc_jp", "x-euc-jp": "euc_jp",
    "iso-2022-jp": "iso2022_jp_ext", "iso-2022-jp-2": "iso2022_jp_2", "iso-2022-kr": "iso2022_kr",
    "euc-kr": "cp949", "ks_c_5601-1987": "cp949", "ks_c_5601": "cp949", "cp949": "cp949",
    "windows-949": "cp949", "johab": "johab",
}  # fmt: skip
_CODECS = {**_SINGLE, **_MULTIPLE}
_FALLBACK = "cp1252"
_LABEL_BYTES = 64  # a longer name is none


def codec_of(charset: bytes) -> str | None:
    """The codec for a declared name; "utf_8" for UTF-8 and US-ASCII; None when it is unknown."""
    name = charset[:_LABEL_BYTES].decode("ascii", "replace").strip(" \t'\"").lower()
    if name in {"utf-8", "utf8", "us-ascii", "ascii", "unicode-1-1-utf-8", "ansi_x3.4-1968", ""}:
        return "utf_8"
    return _CODECS.get(name)


def decode_octets(octets: bytes, charset: bytes = b"", *, cut: bool = False) -> str:
    """Decode by the rule above; never fails, replaces what no charset explains.

    cut: the octets are the beginning of a longer text, so an unfinished last character is dropped.
    """
    if means_itself(octets, charset):
        return octets.decode("ascii")
    codec = codec_of(charset)
    for attempt in (codec, "utf_8"):
        if attempt is not None:
            try:
                return _decode(octets, attempt, "strict", cut)
            except ValueError:
                pass
    # A legacy multi-octet text with one bad octet is still that text; a wrong UTF-8 label is not.
    last = codec if codec is not None and codec in _MULTIPLE.values() else _FALLBACK
    try:
        return _decode(octets, last, "replace", cut)
    except ValueError:  # UTF-16 without a byte order mark raises whatever it is told
        return octets.decode(_FALLBACK, "replace")


def means_itself(octets: bytes, charset: bytes) -> bool:
    """Whether the text of these octets is their ASCII characters."""
    if not octets.isascii() or b"\x1b" in octets:
        return False
    return not charset or codec_of(charset) not in _SHIFTING


# Where octets below 128 do not always mean ASCII.
_SHIFTING = {"utf_7", "utf_16", "utf_16_le", "utf_16_be", "utf_32", "hz", "iso2022_jp_ext",
             "iso2022_jp_2", "iso2022_kr"}  # fmt: skip


def _decode(octets: bytes, codec: str, errors: str, cut: bool) -> str:
    if not cut:
        return octets.decode(codec, errors)
    if codec == "utf_8":
        return codecs.utf_8_decode(octets, errors, False)[0]
    return codecs.getincrementaldecoder(codec)(errors).decode(octets)
