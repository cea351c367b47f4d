"""Throw-away certificates of one cluster: two authorities, a key pair for each identity, kubeconfigs."""

import base64
import datetime as dt
import ipaddress
from collections.abc import Sequence
from pathlib import Path

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_LIFE = dt.timedelta(days=30)


class Authority:
    """A certificate authority whose key lives in memory and in one file of the folder."""

    def __init__(self, folder: Path, name: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        usage = x509.KeyUsage(
            key_cert_sign=True,
            crl_sign=True,
            digital_signature=False,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            encipher_only=False,
            decipher_only=False,
        )
        builder = _builder(self._name, self._name, self._key.public_key())
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        builder = builder.add_extension(usage, critical=True)
        self.certificate = builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
        self.path = folder / f"{name}.crt"
        self.path.write_bytes(self.certificate)
        (folder / f"{name}.key").write_bytes(_pem(self._key))

    def issue(
        self, file: str, *, common_name: str, organization: str = "", names: Sequence[str] = ()
    ) -> tuple[bytes, bytes]:
        """Make a key pair good for both ends of a connection.

        Args:
            file: FILE.crt and FILE.key are written.
            common_name: the user, as the API server reads it.
            organization: the group, likewise; none if empty.
            names: host names and addresses the certificate stands for.

        Returns:
            Certificate and key in PEM.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        subject = [x509.NameAttribute(NameOID.COMMON_NAME, common_name)]
        if organization:
            subject.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization))
        builder = _builder(x509.Name(subject), self._name, key.public_key()).add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]), critical=False
        )
        if names:
            alternative = x509.SubjectAlternativeName([_general_name(name) for name in names])
            builder = builder.add_extension(alternative, critical=False)
        certificate = builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
        (self._folder / f"{file}.crt").write_bytes(certificate)
        (self._folder / f"{file}.key").write_bytes(_pem(key))
        return certificate, _pem(key)


def write_signing_key(folder: Path) -> None:
    """Make the pair sa.key and sa.pub with which service account tokens are signed."""
    key = ec.generate_private_key(ec.SECP256R1())
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    (folder / "sa.key").write_bytes(_pem(key))
    (folder / "sa.pub").write_bytes(public)


def write_kubeconfig(path: Path, *, server: str, authority: bytes, user: dict[str, str]) -> Path:
    """Write a kubeconfig that needs no other file, so that it can be copied or mounted anywhere."""
    cluster = {"server": server, "certificate-authority-data": base64.b64encode(authority).decode()}
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "llmfleet", "cluster": cluster}],
        "users": [{"name": "llmfleet", "user": user}],
        "contexts": [{"name": "llmfleet", "context": {"cluster": "llmfleet", "user": "llmfleet"}}],
        "current-context": "llmfleet",
    }
    path.write_text(yaml.safe_dump(document))
    path.chmod(0o600)
    return path


def certificate_user(pair: tuple[bytes, bytes]) -> dict[str, str]:
    """The user entry of a kubeconfig for a certificate and its key."""
    certificate, key = (base64.b64encode(part).decode() for part in pair)
    return {"client-certificate-data": certificate, "client-key-data": key}


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=5))
        .not_valid_after(now + _LIFE)
    )


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
