"""The certificate a server starts with when it was given none: signed by itself, made once, kept."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from postillon.net.tls import self_signed

CERTIFICATE, KEY = "certificate.pem", "key.pem"


def own_certificate(folder: Path, names: Sequence[str]) -> tuple[Path, Path]:
    """The paths of certificate and key in `folder`, which are made if neither is there.

    Files that exist are never written. If only one of the two is there, FileExistsError: what was
    lost is for the administrator to say.
    """
    certificate, key = folder / CERTIFICATE, folder / KEY
    present = [path for path in (certificate, key) if path.exists()]
    if len(present) == 2:
        return certificate, key
    if present:
        raise FileExistsError(
            f"{present[0]} is there, but its other half is not; remove it or restore both"
        )
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    certificate_pem, key_pem = self_signed(names)
    write_new(key, key_pem)
    write_new(certificate, certificate_pem)
    return certificate, key


def write_new(path: Path, octets: bytes) -> None:
    """Write a file that nobody else may read, all or nothing; FileExistsError if it is there."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(octets)
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, path)  # fails where a name exists, as rename would not
    finally:
        draft.unlink(missing_ok=True)


def fingerprint(certificate: Path) -> str:
    """SHA-256 of the certificate as clients show it: "AB:CD:…"."""
    leaf = x509.load_pem_x509_certificate(certificate.read_bytes())
    return leaf.fingerprint(hashes.SHA256()).hex(":").upper()
