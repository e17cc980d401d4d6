"""A certificate of our own is made once and never written over."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from postillon.net.tls import ServerTls, TlsError
from postillon.server.certificates import fingerprint, own_certificate, write_new


def test_it_is_made_once_for_the_names_and_private(tmp_path: Path) -> None:
    folder = tmp_path / "tls"
    certificate, key = own_certificate(folder, ["mail.example.org", "127.0.0.1"])
    again = own_certificate(folder, ["other.example.org"])
    assert again == (certificate, key)
    assert {path.stat().st_mode & 0o777 for path in (certificate, key)} == {0o600}
    leaf = x509.load_pem_x509_certificate(certificate.read_bytes())
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["mail.example.org"]
    assert [str(ip) for ip in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1"]
    assert isinstance(leaf.public_key(), ec.EllipticCurvePublicKey)
    assert ServerTls(certificate, key).end_point is not None
    assert len(fingerprint(certificate).split(":")) == 32


def test_half_a_pair_is_left_to_the_administrator(tmp_path: Path) -> None:
    certificate, key = own_certificate(tmp_path, ["localhost"])
    key.unlink()
    before = certificate.read_bytes()
    with pytest.raises(FileExistsError):
        own_certificate(tmp_path, ["localhost"])
    assert certificate.read_bytes() == before
    assert not key.exists()


def test_an_existing_file_is_never_written(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"mine")
    with pytest.raises(FileExistsError):
        write_new(path, b"new")
    assert path.read_bytes() == b"mine"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_a_key_of_another_certificate_is_refused_and_named(tmp_path: Path) -> None:
    certificate, _ = own_certificate(tmp_path / "a", ["a.example"])
    _, key = own_certificate(tmp_path / "b", ["b.example"])
    with pytest.raises(TlsError, match=r"key\.pem"):
        ServerTls(certificate, key)


def test_unusable_new_files_leave_the_old_ones_in_use(tmp_path: Path) -> None:
    tls = ServerTls(*own_certificate(tmp_path, ["a.example"]))
    before = tls.context
    tls.certificate.write_bytes(b"nonsense")
    with pytest.raises(TlsError):
        tls.reload_if_changed()
    assert tls.context is before
