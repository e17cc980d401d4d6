"""A profile for Apple Mail on iPhones, iPads and Macs (.mobileconfig), signed by the server.

https://developer.apple.com/documentation/devicemanagement/mail
"""

from __future__ import annotations

import plistlib
import uuid
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import pkcs7

from postillon.mail.services import Description, Use

NAMESPACE = uuid.UUID("9c1a6a0e-7f0b-4a53-9a55-5d1c2a9a0c11")  # ours, for the ids of profiles


def profile(description: Description, address: str) -> bytes | None:
    """The profile of one address as a property list; None without a way to read and one to send.

    Made twice, it is the same profile: a device then replaces the one it has.
    """
    reading = description.best(Use.IMAP) or description.best(Use.POP3)
    sending = description.best(Use.SUBMISSION)
    if reading is None or sending is None:
        return None
    label = ".".join(reversed(description.hostname.split(".")))
    identity = uuid.uuid5(NAMESPACE, f"{description.hostname}\0{address}")
    mail = {
        "PayloadType": "com.apple.mail.managed",
        "PayloadVersion": 1,
        "PayloadIdentifier": f"{label}.mail.{identity}",
        "PayloadUUID": str(uuid.uuid5(identity, "mail")).upper(),
        "PayloadDisplayName": description.name,
        "EmailAccountDescription": address,
        "EmailAddress": address,
        "EmailAccountType": "EmailTypeIMAP" if reading.use is Use.IMAP else "EmailTypePOP",
        "IncomingMailServerHostName": reading.host,
        "IncomingMailServerPortNumber": reading.port,
        "IncomingMailServerUseSSL": True,
        "IncomingMailServerAuthentication": "EmailAuthPassword",
        "IncomingMailServerUsername": address,
        "OutgoingMailServerHostName": sending.host,
        "OutgoingMailServerPortNumber": sending.port,
        "OutgoingMailServerUseSSL": True,
        "OutgoingMailServerAuthentication": "EmailAuthPassword",
        "OutgoingMailServerUsername": address,
        "OutgoingPasswordSameAsIncomingPassword": True,
    }
    return plistlib.dumps(
        {
            "PayloadType": "Configuration",
            "PayloadVersion": 1,
            "PayloadIdentifier": f"{label}.{identity}",
            "PayloadUUID": str(identity).upper(),
            "PayloadDisplayName": f"{description.name}: {address}",
            "PayloadOrganization": description.name,
            "PayloadRemovalDisallowed": False,
            "PayloadContent": [mail],
        }
    )


def signed(content: bytes, certificate: Path, key: Path) -> bytes:
    """The content in a PKCS #7 message with the certificate and its chain.

    certificate, key: PEM files. Raises OSError, or ValueError when they cannot sign.
    """
    chain = x509.load_pem_x509_certificates(certificate.read_bytes())
    private = serialization.load_pem_private_key(key.read_bytes(), None)
    if not isinstance(private, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        raise ValueError("only RSA and elliptic curve keys can sign a profile")
    builder = pkcs7.PKCS7SignatureBuilder().set_data(content)
    builder = builder.add_signer(chain[0], private, hashes.SHA256())
    for above in chain[1:]:
        builder = builder.add_certificate(above)
    return builder.sign(serialization.Encoding.DER, [pkcs7.PKCS7Options.Binary])
