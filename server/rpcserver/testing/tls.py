"""TLS of the testing kit's client, which most tests do without."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import socket
    from pathlib import Path

NO_DATA: Final = ssl.SSLWantReadError
"""What is raised where nothing has come yet."""


def secured(connected: socket.socket, host: str, tls: ssl.SSLContext | None) -> ssl.SSLSocket:
    """Speak TLS over a connection to a host, whose certificate the system's authorities vouch for unless told else."""
    return (tls or ssl.create_default_context()).wrap_socket(connected, server_hostname=host)


def trusting(cert: Path) -> ssl.SSLContext:
    """Make what verifies a server by nothing but its certificate, a file in PEM form, for whatever name that is."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(cert)
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context
