"""TLS of the testing kit's client, which most tests do without."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import socket
    from pathlib import Path

_READ_SIZE = 1024


def secured(connected: socket.socket, host: str, tls: ssl.SSLContext | None) -> ssl.SSLSocket:
    """Speak TLS over a connection to a host, whose certificate the system's authorities vouch for unless told else."""
    return (tls or ssl.create_default_context()).wrap_socket(connected, server_hostname=host)


def has_data(connected: socket.socket) -> bool:
    """Read what has come, and tell whether there is data in it, or the end: records of TLS need have neither."""
    connected.settimeout(0)
    try:
        connected.recv(_READ_SIZE)
    except ssl.SSLWantReadError:
        return False
    except OSError:
        pass  # it is broken, which is an end as well
    return True


def trusting(cert: Path) -> ssl.SSLContext:
    """Make what verifies a server by nothing but its certificate, a file in PEM form, for whatever name that is."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(cert)
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context
