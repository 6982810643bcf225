"""Certificate authorities and the certificates they sign, kept as PEM files.

Everything is made once and kept: a cluster that is stopped and started again presents the same authority, so clients
configured before go on working.
"""

from __future__ import annotations

import datetime
import ipaddress
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_LIFETIME = datetime.timedelta(days=3650)
"""Of everything alike: nothing here is trusted by anybody else, and nothing should end while a cluster runs."""

_RENEW_BEFORE = datetime.timedelta(days=30)
"""A certificate with less than this left is made anew when the cluster starts."""

_CLOCK_SKEW = datetime.timedelta(minutes=5)
"""How far in the past a certificate starts, so that a clock set back a little does not refuse it."""


@dataclass(frozen=True)
class Certificate:
    """A certificate and its private key.

    Attributes:
        certificate: PEM file, readable by all who may enter the folder.
        key: PEM file (PKCS #8, P-256), mode 0600.
    """

    certificate: Path
    key: Path


class Authority:
    """A certificate authority of our own, trusted by what we start and by a shell with `make env` of a GKE stack."""

    def __init__(self, folder: Path, name: str) -> None:
        """Load the authority from a folder, or make it there.

        Args:
            folder: where its files and those of all it signs are kept; created with mode 0700.
            name: its common name; also the stem of its two files.
        """
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = folder
        self._name = name
        own = Certificate(folder / f"{name}.crt", folder / f"{name}.key")
        if not _is_current(own):
            self._create(own)
        self._certificate = x509.load_pem_x509_certificate(own.certificate.read_bytes())
        self._key = load_key(own.key)
        self.certificate = own.certificate
        """PEM file that clients and servers trust."""

    def server(self, name: str, hosts: Sequence[str], client: bool = False) -> Certificate:
        """Return a certificate for a server, made when missing, signed by another authority or about to expire.

        Args:
            name: common name and stem of its files, unique under this authority.
            hosts: DNS names and IP addresses the server is reached at.
            client: whether the same certificate is also presented as a client's, as etcd members do to each other.
        """
        usages = [ExtendedKeyUsageOID.SERVER_AUTH] + ([ExtendedKeyUsageOID.CLIENT_AUTH] if client else [])
        return self._leaf(name, x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]), usages, hosts)

    def client(self, file: str, user: str, group: str | None = None) -> Certificate:
        """Return a certificate for a client, made when missing, signed by another authority or about to expire.

        Args:
            file: stem of its files, unique under this authority.
            user: common name: the user, to Kubernetes.
            group: organization: the group, to Kubernetes.
        """
        attributes = [x509.NameAttribute(NameOID.COMMON_NAME, user)]
        if group is not None:
            attributes.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, group))
        return self._leaf(file, x509.Name(attributes), [ExtendedKeyUsageOID.CLIENT_AUTH], [])

    def _create(self, own: Certificate) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, self._name)])
        builder = (
            _builder(subject, subject, key, _LIFETIME)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_key_usage(authority=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        )
        _write(own, key, builder.sign(key, hashes.SHA256()))

    def _leaf(
        self, stem: str, subject: x509.Name, usages: Sequence[x509.ObjectIdentifier], hosts: Sequence[str]
    ) -> Certificate:
        leaf = Certificate(self._folder / f"{stem}.crt", self._folder / f"{stem}.key")
        if _is_current(leaf) and self._signed(leaf):
            return leaf
        key = ec.generate_private_key(ec.SECP256R1())
        builder = (
            _builder(subject, self._certificate.subject, key, _LIFETIME)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(authority=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
            # Among authorities of one name OpenSSL takes the first that a certificate does not rule out.
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )
        if hosts:
            builder = builder.add_extension(
                x509.SubjectAlternativeName([_general_name(host) for host in hosts]), critical=False
            )
        _write(leaf, key, builder.sign(self._key, hashes.SHA256()))
        return leaf

    def _signed(self, leaf: Certificate) -> bool:
        certificate = x509.load_pem_x509_certificate(leaf.certificate.read_bytes())
        try:
            certificate.verify_directly_issued_by(self._certificate)
        except (ValueError, TypeError, InvalidSignature):
            return False
        return True


def signing_key(folder: Path, name: str) -> tuple[Path, Path]:
    """Return a key pair without certificate, made when missing: Kubernetes signs service account tokens with one.

    Args:
        folder: where its files are kept; created with mode 0700.
        name: stem of the two files.

    Returns:
        The PEM files of the private key (mode 0600) and of the public key.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    private, public = folder / f"{name}.key", folder / f"{name}.pub"
    if not (private.exists() and public.exists()):
        key = ec.generate_private_key(ec.SECP256R1())
        write_private(private, _pem(key))
        public.write_bytes(
            key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        )
    return private, public


def load_key(path: Path) -> ec.EllipticCurvePrivateKey:
    """Read a private key that this module wrote.

    Raises:
        ValueError: the file holds no unencrypted elliptic-curve key.
    """
    key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError(f"{path} holds no elliptic-curve key; remove its folder, it is made anew at the next start")
    return key


def write_private(path: Path, content: bytes) -> None:
    """Write a file that only its owner may read, all at once: a reader sees the old content or the new one.

    Args:
        path: the file, mode 0600 from its first byte on.
        content: all of its content.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    temporary.replace(path)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, lifetime: datetime.timedelta
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCK_SKEW)
        .not_valid_after(now + lifetime)
    )


def _key_usage(authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _is_current(pair: Certificate) -> bool:
    if not (pair.certificate.exists() and pair.key.exists()):
        return False
    try:
        certificate = x509.load_pem_x509_certificate(pair.certificate.read_bytes())
        same_key = certificate.public_key() == load_key(pair.key).public_key()
    except ValueError:
        return False
    return same_key and certificate.not_valid_after_utc - datetime.datetime.now(datetime.UTC) > _RENEW_BEFORE


def _write(pair: Certificate, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> None:
    write_private(pair.key, _pem(key))
    write_private(pair.certificate, certificate.public_bytes(serialization.Encoding.PEM))


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
