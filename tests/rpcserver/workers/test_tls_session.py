"""TLS without sockets: however records are cut, and whatever else comes."""

from __future__ import annotations

import contextlib
import itertools
import ssl

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st

from rpcserver.workers.tls_session import TlsFailure, TlsSession
from rpcwire import FrameError

AUTHORITY = trustme.CA()
SERVER = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
SERVER.minimum_version = ssl.TLSVersion.TLSv1_2
AUTHORITY.issue_cert("localhost").configure_cert(SERVER)
CLIENT = ssl.create_default_context()
AUTHORITY.configure_trust(CLIENT)


class Peer:
    """The client's side."""

    def __init__(self) -> None:
        self.incoming = ssl.MemoryBIO()
        self.outgoing = ssl.MemoryBIO()
        self.tls = CLIENT.wrap_bio(self.incoming, self.outgoing, server_hostname="localhost")

    def shake_hands(self) -> bytes:
        """Go on with the handshake; what it returns goes to the server."""
        with contextlib.suppress(ssl.SSLWantReadError):
            self.tls.do_handshake()
        return self.outgoing.read()

    def records(self, *pieces: bytes) -> list[bytes]:
        records = []
        for piece in pieces:
            self.tls.write(piece)
            records.append(self.outgoing.read())
        return records


def connected() -> tuple[TlsSession, Peer]:
    session, peer = TlsSession(SERVER), Peer()
    while not session.established:
        assert session.receive(peer.shake_hands()) == b""
        peer.incoming.write(session.output())
    return session, peer


@given(st.lists(st.binary(min_size=1, max_size=200), min_size=1, max_size=5), st.data())
def test_records_may_be_cut_anywhere(pieces: list[bytes], data: st.DataObject) -> None:
    session, peer = connected()
    records = peer.records(*pieces)
    stream = b"".join(records)
    ends = {len(b"".join(records[:count])) for count in range(len(records) + 1)}
    cuts = sorted({0, len(stream), *data.draw(st.lists(st.integers(0, len(stream)), max_size=8))})
    plain = b""
    for start, end in itertools.pairwise(cuts):
        plain += session.receive(stream[start:end])
        assert session.mid_record is (end not in ends)
        # Nothing that could be read stays behind.
        assert plain == b"".join(pieces[: sum(0 < known <= end for known in ends)])
    assert plain == b"".join(pieces)


@given(st.binary(min_size=1, max_size=300))
def test_whatever_comes_first_is_waited_for_or_a_failure(data: bytes) -> None:
    session = TlsSession(SERVER)
    try:
        assert session.receive(data) == b""
    except TlsFailure:
        assert session.failed
        assert session.output()
        assert session.write(b"x") == b""
        with pytest.raises(TlsFailure):
            session.receive(b"more")
    else:
        with pytest.raises(FrameError):
            session.receive_eof()


@given(st.binary(min_size=1, max_size=300))
def test_whatever_comes_after_the_handshake_is_waited_for_or_a_failure(data: bytes) -> None:
    session, _ = connected()
    try:
        assert session.receive(data) == b""
    except TlsFailure:
        assert session.failed
    else:
        if session.mid_record:
            with pytest.raises(TlsFailure, match="inside a TLS record"):
                session.receive_eof()


def test_the_end_is_heard_and_said() -> None:
    session, peer = connected()
    (record,) = peer.records(b"last")
    with pytest.raises(ssl.SSLWantReadError):
        peer.tls.unwrap()
    assert not session.ended
    assert session.receive(record + peer.outgoing.read()) == b"last"
    assert session.ended
    peer.incoming.write(session.end())
    peer.tls.unwrap()


def test_a_client_that_speaks_an_old_version_is_told_from_others() -> None:
    session = TlsSession(SERVER)
    # A ClientHello of TLS 1.0, with one cipher and no extensions.
    body = b"\x03\x01" + bytes(32) + b"\x00" + b"\x00\x02\x00\x2f" + b"\x01\x00"
    hello = b"\x01" + len(body).to_bytes(3, "big") + body
    with pytest.raises(TlsFailure, match=r"the client speaks no TLS as new as 1\.2"):
        session.receive(b"\x16\x03\x01" + len(hello).to_bytes(2, "big") + hello)
    assert session.output()
