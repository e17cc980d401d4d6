"""Encryption and proof of Web Push (RFC 8291, RFC 8292)."""

from __future__ import annotations

import json

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from postillon.protocol.jmap.webpush import (
    MAX_PLAIN,
    BadKeys,
    ClientKeys,
    authorization,
    base64url,
    encoded,
    encrypt,
    from_base64url,
    new_key,
)

# RFC 8291 section 5 and appendix A.
PLAIN = b"When I grow up, I want to be a watermelon"
SERVER_SECRET = "yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw"
CLIENT_PUBLIC = (
    "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"
)
AUTH = "BTBZMqHH6r4Tts7J_aSIgg"
SALT = "DGv6ra1nlYgDCS1FRnbzlw"
SEALED = (
    "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS"
    "6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qu"
    "lcy4a-fN"
)


def own_key() -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(
        int.from_bytes(from_base64url(SERVER_SECRET), "big"), ec.SECP256R1()
    )


def test_content_is_encrypted_as_in_the_standards_example() -> None:
    keys = ClientKeys(from_base64url(CLIENT_PUBLIC), from_base64url(AUTH))
    sealed = encrypt(PLAIN, keys, from_base64url(SALT), own_key())
    assert base64url(sealed) == SEALED


def test_content_that_a_push_service_would_not_take_is_refused() -> None:
    keys = ClientKeys(encoded(new_key().public_key()), bytes(16))
    assert len(encrypt(bytes(MAX_PLAIN), keys, bytes(16), new_key())) == 4_096
    with pytest.raises(ValueError, match="more than"):
        encrypt(bytes(MAX_PLAIN + 1), keys, bytes(16), new_key())


@pytest.mark.parametrize(
    ("public", "auth"),
    [
        (bytes(65), bytes(16)),
        (b"\x04" + bytes(64), bytes(16)),
        (encoded(own_key().public_key())[:-1], bytes(16)),
        (encoded(own_key().public_key()), bytes(15)),
    ],
)
def test_keys_that_are_none_are_refused(public: bytes, auth: bytes) -> None:
    with pytest.raises(BadKeys):
        ClientKeys(public, auth)


@pytest.mark.parametrize("text", ["a", "ä", "a b=", "a/+b"])
def test_text_that_is_no_base64url_is_refused(text: str) -> None:
    with pytest.raises(BadKeys):
        from_base64url(text)


def test_the_proof_names_the_service_and_is_signed_by_the_key_it_shows() -> None:
    field = authorization(own_key(), "https://push.example", "mailto:a@example.org", 1_800_000_000)
    scheme, _, rest = field.partition(" ")
    token, key = (item.strip()[2:] for item in rest.split(","))
    head, claims, signature = token.split(".")
    assert scheme == "vapid"
    assert json.loads(from_base64url(head)) == {"typ": "JWT", "alg": "ES256"}
    assert json.loads(from_base64url(claims)) == {
        "aud": "https://push.example", "exp": 1_800_000_000, "sub": "mailto:a@example.org"
    }  # fmt: skip
    public = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), from_base64url(key))
    octets = from_base64url(signature)
    r, s = int.from_bytes(octets[:32], "big"), int.from_bytes(octets[32:], "big")
    public.verify(
        encode_dss_signature(r, s), f"{head}.{claims}".encode(), ec.ECDSA(hashes.SHA256())
    )
