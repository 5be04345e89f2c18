"""Certificates for tests, made anew in every run: an authority, servers good and bad, and clients."""

from __future__ import annotations

import datetime as dt
import ssl
from pathlib import Path

import trustme

from rpcshell import TlsFiles

NOW = dt.datetime.now(dt.UTC)
DAY = dt.timedelta(days=1)


class Certificates:
    """An authority and what it has signed; the files are in a folder.

    Args:
        folder: Where files go.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority = trustme.CA(organization_name="Test Authority")
        self.other = trustme.CA(organization_name="Other Authority")
        self.ca = self._file("ca.pem", self.authority.cert_pem)
        self.good = self.authority.issue_cert("127.0.0.1", "localhost", common_name="calc")
        self.bad = {
            "expired": self.authority.issue_cert(
                "127.0.0.1", common_name="calc", not_before=NOW - 9 * DAY, not_after=NOW - DAY
            ),
            "early": self.authority.issue_cert(
                "127.0.0.1", common_name="calc", not_before=NOW + DAY, not_after=NOW + 9 * DAY
            ),
            "elsewhere": self.authority.issue_cert("calc.example", "10.0.0.1", common_name="calc"),
            "unknown": self.other.issue_cert("127.0.0.1", common_name="calc"),
        }
        client = self.authority.issue_cert("ann@example.org", common_name="ann")
        self.client = TlsFiles(self.ca, *self._pair("client", client))
        self.stranger = TlsFiles(self.ca, *self._pair("stranger", self.other.issue_cert("bob@example.org")))
        self.trusting = TlsFiles(self.ca)

    def server(self, cert: trustme.LeafCert | None = None, *, client_ca: bool = False) -> ssl.SSLContext:
        """What a server takes connections with.

        Args:
            cert: Its certificate; the good one if not given.
            client_ca: Whether clients have to show a certificate of the authority.
        """
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        (cert or self.good).configure_cert(context)
        if client_ca:
            self.authority.configure_trust(context)
            context.verify_mode = ssl.CERT_REQUIRED
        return context

    def _pair(self, name: str, cert: trustme.LeafCert) -> tuple[str, str]:
        chain = self._file(f"{name}.pem", cert.cert_chain_pems[0])
        return chain, self._file(f"{name}.key", cert.private_key_pem)

    def _file(self, name: str, blob: trustme.Blob) -> str:
        path = self.folder / name
        blob.write_to_path(str(path))
        return str(path)
