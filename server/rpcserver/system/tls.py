"""The server's TLS as a setting: which files there are, when they are read, and when again.

What is in them is read in `rpcserver.system.certificates`, which is imported only where there are any.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ssl

    from rpcserver.system.settings import ServerSettings


class ServerTls:
    """The server's certificate, and what it asks of clients.

    Workers inherit what was read when they are forked, so that all of a generation serve the same, and take up each
    other's sessions.

    Args:
        key: the file of its key; None where that is in the same.
        client_ca: the file of those who issue clients' certificates; None asks for none.

    Raises:
        TlsError: a file cannot be used.
    """

    context: ssl.SSLContext

    def __init__(self, cert: str | Path, key: str | Path | None = None, client_ca: str | Path | None = None) -> None:
        self._cert = Path(cert)
        self._key = None if key is None else Path(key)
        self._client_ca = None if client_ca is None else Path(client_ca)
        self.renew()

    def renew(self) -> None:
        """Read the files again; what was read before stays where they cannot be used.

        Raises:
            TlsError: a file cannot be used.
        """
        from rpcserver.system.certificates import read_context

        self.context = read_context(self._cert, self._key, self._client_ca)


def open_tls(settings: ServerSettings) -> ServerTls | None:
    """Read the certificate that the settings name; None where they name none.

    Raises:
        TlsError: a file cannot be used.
    """
    if settings.tls_cert is None:
        return None
    return ServerTls(settings.tls_cert, settings.tls_key, settings.tls_client_ca)
