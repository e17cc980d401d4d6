"""The server's side of SASL (RFC 4422): what a client's responses say, without any protocol around.

A mechanism is fed decoded responses and answers with a `Challenge`, with `Credentials` or a
`BearerToken` that the caller must verify, with `LookUp` when it needs what the server keeps about a
login, with `ScramDone` when the exchange itself has proved the password, or with `Failed`. Base64 and
the wire belong to the protocols; so does "*", which cancels.
"""

from __future__ import annotations

import string
import unicodedata
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Protocol

from scramp import ScramException, ScramMechanism

MAX_RESPONSE = 9_000  # octets decoded: what an AUTH line of 12,288 can hold (RFC 4954 section 4)
MAX_NAME = 255  # octets of a login or an authorization identity
MAX_PASSWORD = 1_024  # octets; hashing more helps nobody

CHANNEL_BINDING = "tls-server-end-point"  # RFC 5929: the one that works with every TLS version


@dataclass(frozen=True, slots=True)
class Challenge:
    """Send this and wait for the response."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Credentials:
    """A login and its password, to be verified. `authzid` is "" when not given."""

    login: str
    password: str
    authzid: str = ""


@dataclass(frozen=True, slots=True)
class BearerToken:
    """A token to be verified. `authzid` is whom it is said to be of, "" when not given.

    When it is not good, the client must be sent an error (RFC 7628 section 3.2.2) and its answer be
    awaited, whatever it is, before the exchange fails.
    """

    token: str
    authzid: str = ""


@dataclass(frozen=True, slots=True)
class ScramDone:
    """The client has proved that it knows a password of `login`: that of so many-th verifier."""

    login: str
    which: int = 0


@dataclass(frozen=True, slots=True)
class Failed:
    """The exchange is over. `malformed` when it was not a matter of the password."""

    reason: str
    malformed: bool = False


class ScramVerifier(Protocol):
    """What a server keeps instead of the password (RFC 5802 section 3)."""

    @property
    def salt(self) -> bytes: ...
    @property
    def iterations(self) -> int: ...
    @property
    def stored_key(self) -> bytes: ...
    @property
    def server_key(self) -> bytes: ...


@dataclass(frozen=True, slots=True)
class LookUp:
    """Find what is kept of `login`, and go on with it: that gives the next step.

    One verifier or several; those that have not the salt and the iterations of the first do not count,
    as the client is told of one only. There must be an answer for unknown logins too, always the same,
    or it tells which logins exist (FAULTS 43).
    """

    login: str
    go_on: Callable[..., Challenge | Failed]  # of one ScramVerifier or more


Step = Challenge | Credentials | LookUp | BearerToken | ScramDone | Failed


class ServerMechanism(Protocol):
    """One exchange. `initial`: the client speaks first, so an initial response is possible."""

    initial: bool

    def step(self, response: bytes) -> Step: ...


class Plain:
    """RFC 4616: [authzid] NUL authcid NUL passwd."""

    initial = True

    def step(self, response: bytes) -> Step:
        parts = response.split(b"\0")
        if len(parts) != 3:
            return Failed("PLAIN needs three parts", malformed=True)
        return _credentials(parts[1], parts[2], parts[0])


class Login:
    """What old clients still speak (draft-murchison-sasl-login): two questions."""

    initial = True  # an initial response is taken for the name: some clients send it

    def __init__(self) -> None:
        self._login: bytes | None = None
        self._asked = False

    def step(self, response: bytes) -> Step:
        if self._login is None:
            if not response and not self._asked:
                self._asked = True
                return Challenge(b"Username:")
            self._login = response
            return Challenge(b"Password:")
        return _credentials(self._login, response, b"")


class OAuthBearer:
    """RFC 7628 section 3.1: a GS2 header, then key=value pairs, each ended by %x01."""

    initial = True

    def step(self, response: bytes) -> Step:
        header, separator, rest = response.partition(b"\x01")
        flag, *more = header.split(b",")
        if not separator or len(more) != 2 or more[1] or flag not in (b"n", b"y"):
            return Failed("OAUTHBEARER begins with a GS2 header without binding", malformed=True)
        name = more[0]
        if name and not name.startswith(b"a="):
            return Failed("the identity is malformed", malformed=True)
        identity = name[2:].replace(b"=2C", b",").replace(b"=3D", b"=")
        return _bearer(identity, rest)


class XOAuth2:
    """What Google began with and many clients speak: user=…%x01auth=Bearer …%x01%x01."""

    initial = True

    def step(self, response: bytes) -> Step:
        user, separator, rest = response.partition(b"\x01")
        if not separator or not user.startswith(b"user="):
            return Failed("XOAUTH2 begins with user=", malformed=True)
        return _bearer(user[5:], rest)


NOT_YET = (bytes(16), bytes(32), bytes(32), 4096)  # what scramp accepts for a verifier


class Scram:
    """RFC 5802 and 7677, with channel binding when `binding` is given."""

    initial = True

    def __init__(self, binding: bytes | None, plus: bool) -> None:
        self._login = ""
        self._stage = 0
        self._kept = NOT_YET
        self._keys: list[tuple[int, bytes, bytes]] = []  # number, stored key, server key
        self._proved = 0
        self._mechanism = ScramMechanism(SCRAM_PLUS if plus else SCRAM)
        self._binding = None if binding is None else (CHANNEL_BINDING, binding)
        self._server = self._mechanism.make_server(self._named, self._binding)

    def _named(self, login: str) -> tuple[bytes, bytes, bytes, int]:
        """scramp asks for what is kept while it reads the first message."""
        name = _text(login.encode("utf-8", "surrogatepass"), MAX_NAME)
        if not name:
            raise ScramException("the login is malformed")
        self._login = name
        return self._kept

    def step(self, response: bytes) -> Step:
        self._stage += 1
        if self._stage == 3:
            if response:
                return Failed("the last response must be empty", malformed=True)
            return ScramDone(self._login, self._proved)
        try:
            text = response.decode("utf-8")
            return self._first(text) if self._stage == 1 else self._final(text)
        except (ScramException, ValueError, LookupError) as error:
            return Failed(str(error)[:200], malformed=True)

    def _first(self, text: str) -> Step:
        """Read the client's first message for its name; `_known` reads it again."""
        refused = self._read(text)
        return refused or LookUp(self._login, lambda *kept: self._known(kept, text))

    def _known(self, every: Sequence[ScramVerifier], text: str) -> Challenge | Failed:
        kept = every[0]
        self._kept = (kept.salt, kept.stored_key, kept.server_key, kept.iterations)
        self._keys = [
            (number, item.stored_key, item.server_key)
            for number, item in enumerate(every)
            if (item.salt, item.iterations) == (kept.salt, kept.iterations)
        ]
        self._server = self._mechanism.make_server(self._named, self._binding)
        try:
            refused = self._read(text)
            return refused or Challenge(self._server.get_server_first().encode())
        except (ScramException, ValueError, LookupError) as error:
            return Failed(str(error)[:200], malformed=True)

    def _final(self, text: str) -> Challenge | Failed:
        """The client's proof, against each password that it may be of."""
        for number, stored_key, server_key in self._keys:
            attempt = copy(self._server)
            attempt.stored_key, attempt.server_key = stored_key, server_key
            try:
                attempt.set_client_final(text)
            except ScramException as error:
                if "client keys" not in str(error):
                    raise
                continue
            self._proved = number
            return Challenge(attempt.get_server_final().encode())
        return Failed("the proof is wrong")

    def _read(self, text: str) -> Failed | None:
        """The client's first message. scramp knows no authzid, which some clients always send."""
        flag, comma, rest = text.partition(",")
        identity, second, bare = rest.partition(",")
        self._server.set_client_first(f"{flag},,{bare}" if comma and second else text)
        if identity:
            name = identity.removeprefix("a=").replace("=2C", ",").replace("=3D", "=")
            if not second or not identity.startswith("a=") or name != self._login:
                return Failed("a login acts for itself only", malformed=not second)
            # What the client signs holds its header as it was sent (RFC 5802 section 5.1).
            self._server.gs2_header = _Header(f"{flag},{identity},", self._server.gs2_header)
        return None


class _Header:
    """A GS2 header with an authzid, in the place of scramp's own for the check of what was signed."""

    def __init__(self, text: str, without: _Gs2Header) -> None:
        self._text = text.encode()
        self._without = without

    def make_cbind_input(self, binding: object) -> bytes:
        plain = bytes(self._without)
        return self._text + self._without.make_cbind_input(binding)[len(plain) :]


class _Gs2Header(Protocol):
    def __bytes__(self) -> bytes: ...

    def make_cbind_input(self, binding: object) -> bytes: ...


_TOKEN = (string.ascii_letters + string.digits + "-._~+/=").encode()
SCRAM = "SCRAM-SHA-256"
SCRAM_PLUS = "SCRAM-SHA-256-PLUS"


def offered(
    *, scram: bool, binding: bytes | None = None, plain: bool = True, bearer: bool = False
) -> tuple[str, ...]:
    """The names to announce, strongest first. `binding`: this connection's data, None without."""
    names: tuple[str, ...] = ()
    if scram:
        names = (SCRAM_PLUS, SCRAM) if binding is not None else (SCRAM,)
    if plain:
        names += ("PLAIN", "LOGIN")
    return (*names, "OAUTHBEARER", "XOAUTH2") if bearer else names


def mechanism(
    name: str, *, scram: bool = False, binding: bytes | None = None, bearer: bool = False
) -> ServerMechanism | None:
    """Begin an exchange; None for a name that `offered` does not announce with these arguments."""
    match name.upper():
        case "PLAIN":
            return Plain()
        case "LOGIN":
            return Login()
        case "SCRAM-SHA-256" if scram:
            return Scram(binding, plus=False)
        case "SCRAM-SHA-256-PLUS" if scram and binding is not None:
            return Scram(binding, plus=True)
        case "OAUTHBEARER" if bearer:
            return OAuthBearer()
        case "XOAUTH2" if bearer:
            return XOAuth2()
    return None


def _bearer(identity: bytes, rest: bytes) -> Step:
    """The pairs after the header: auth is needed, host and port say where the client thinks it is."""
    if not rest.endswith(b"\x01\x01"):
        return Failed("the response does not end with two %x01", malformed=True)
    found = None
    for pair in rest[:-2].split(b"\x01"):
        key, equals, value = pair.partition(b"=")
        if not equals or not key.isalpha() or (key == b"auth" and found is not None):
            return Failed("the response is no list of key=value", malformed=True)
        if key == b"auth":
            found = value
    kind, _, token = (found or b"").partition(b" ")
    name = _text(identity, MAX_NAME)
    if name is None or kind.lower() != b"bearer" or not _is_token(token.strip(b" ")):
        return Failed("auth=Bearer and a token are needed", malformed=True)
    return BearerToken(token.strip(b" ").decode("ascii"), name)


def _is_token(token: bytes) -> bool:
    """b64token of RFC 6750 section 2.1."""
    return 0 < len(token) <= MAX_RESPONSE and not token.translate(None, _TOKEN)


def _credentials(login: bytes, password: bytes, authzid: bytes) -> Step:
    name, secret = _text(login, MAX_NAME), _text(password, MAX_PASSWORD)
    identity = _text(authzid, MAX_NAME) if authzid else ""
    if not name or not secret or identity is None:
        return Failed("a name or password is empty, too long or not UTF-8", malformed=True)
    return Credentials(name, secret, identity)


def _text(data: bytes, limit: int) -> str | None:
    """UTF-8 without control characters, NFC: SASLprep's part that matters for new passwords."""
    if len(data) > limit or b"\0" in data:
        return None
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return None
    if any(character < " " or character == "\x7f" for character in text):
        return None
    return text if text.isascii() else unicodedata.normalize("NFC", text)
