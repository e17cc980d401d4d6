"""What we say we can do: only what holds. docs/imap.md says where each is done and tested."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from postillon.access.imap.session import Session

ALWAYS = (b"IMAP4rev1", b"IMAP4rev2", b"LITERAL+", b"SASL-IR", b"ID", b"ENABLE")
LOGGED_IN = (
    b"IDLE", b"NAMESPACE", b"UIDPLUS", b"UNSELECT", b"MOVE", b"CHILDREN", b"SPECIAL-USE",
    b"CREATE-SPECIAL-USE", b"LIST-EXTENDED", b"LIST-STATUS", b"ESEARCH", b"WITHIN", b"STATUS=SIZE",
    b"MULTIAPPEND", b"CONDSTORE", b"QRESYNC", b"SEARCHRES", b"PARTIAL", b"BINARY", b"OBJECTID",
    b"SAVEDATE", b"PREVIEW", b"UTF8=ACCEPT", b"COMPRESS=DEFLATE", b"METADATA",
    b"LIST-METADATA", b"QUOTA", b"QUOTA=RES-STORAGE", b"REPLACE",
    b"SORT", b"SORT=DISPLAY", b"ESORT", b"THREAD=ORDEREDSUBJECT", b"THREAD=REFERENCES",
    b"THREAD=REFS", b"UIDONLY", b"UIDBATCHES", b"INPROGRESS", b"MULTISEARCH", b"UNAUTHENTICATE",
    b"SEARCH=FUZZY", b"ACL", b"RIGHTS=kxte", b"LIST-MYRIGHTS", b"NOTIFY",
    b"CATENATE", b"CONTEXT=SEARCH", b"CONTEXT=SORT", b"URLAUTH", b"URLAUTH=BINARY",
)  # fmt: skip


def of(session: Session) -> bytes:
    """The list for this moment of a session."""
    words = list(ALWAYS)
    if session.logged_in:
        words += LOGGED_IN
        words.append(b"APPENDLIMIT=%d" % session.server.config.append_limit)
        if session.server.config.message_limit:
            words.append(b"MESSAGELIMIT=%d" % session.server.config.message_limit)
        if session.server.jmap_url:
            words.append(b"JMAPACCESS")
        return b" ".join(words)
    if session.server.tls is not None and session.stream.tls is None:
        words.append(b"STARTTLS")
    if session.private:
        offered = session.server.sign_ins.offered(session.stream.end_point)
        words += [b"AUTH=" + name.encode() for name in offered]
    else:
        words.append(b"LOGINDISABLED")
    return b" ".join(words)
