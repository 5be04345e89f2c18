"""Listening sockets."""

from __future__ import annotations

import errno
import os
import select
import socket
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from rpcserver.system.addresses import Bind, BindError, TcpBind, UnixBind, format_host_port, parse_bind, peer_address
from rpcserver.system.sockets import _LEAST_HOPS, Listener, open_listeners

LOCAL = TcpBind("127.0.0.1", 0)


@pytest.fixture
def opened() -> Iterator[list[Listener]]:
    listeners: list[Listener] = []
    yield listeners
    for listener in listeners:
        listener.close()


def listen(opened: list[Listener], *binds: Bind, backlog: int = 16, mode: int = 0o600) -> list[Listener]:
    listeners = open_listeners(binds, backlog=backlog, unix_mode=mode)
    opened += listeners
    return listeners


def test_port_0_gets_a_port_and_says_which(opened: list[Listener]) -> None:
    (listener,) = listen(opened, LOCAL)
    host, _, port = listener.address.rpartition(":")
    with socket.create_connection((host, int(port)), 5):
        assert int(port) > 0


def test_ipv6_is_written_in_brackets(opened: list[Listener]) -> None:
    (listener,) = listen(opened, TcpBind("::1", 0))
    assert listener.address.startswith("[::1]:")
    assert format_host_port("::1", 80) == "[::1]:80"


def test_both_families_can_have_the_same_port(opened: list[Listener]) -> None:
    (first,) = listen(opened, TcpBind("0.0.0.0", 0))
    port = int(first.address.rpartition(":")[2])
    (second,) = listen(opened, TcpBind("::", port))
    assert second.address == f"[::]:{port}"


def test_a_host_name_is_listened_on_at_all_its_addresses(opened: list[Listener]) -> None:
    listeners = listen(opened, TcpBind("localhost", 0))
    found = {info[4][0] for info in socket.getaddrinfo("localhost", 0, type=socket.SOCK_STREAM)}
    assert {listener.address.rpartition(":")[0].strip("[]") for listener in listeners} <= found
    assert listeners


def test_an_address_in_use_is_said_so(opened: list[Listener]) -> None:
    (listener,) = listen(opened, LOCAL)
    with pytest.raises(BindError, match="in use") as caught:
        listen(opened, parse_bind(listener.address))
    assert caught.value.address == listener.address


def test_an_unknown_host_is_said_so() -> None:
    with pytest.raises(BindError, match="not known"):
        open_listeners([TcpBind("no-such-host.invalid", 0)], backlog=1, unix_mode=0o600)


def test_an_address_of_another_machine_is_said_so() -> None:
    with pytest.raises(BindError, match="no interface"):
        open_listeners([TcpBind("192.0.2.1", 0)], backlog=1, unix_mode=0o600)


def test_nothing_stays_open_when_one_address_cannot_be_had(tmp_path: Path, opened: list[Listener]) -> None:
    (taken,) = listen(opened, LOCAL)
    path = tmp_path / "first.sock"
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(BindError):
        open_listeners([UnixBind(str(path)), LOCAL, parse_bind(taken.address)], backlog=1, unix_mode=0o600)
    assert not path.exists()
    assert len(list(Path("/proc/self/fd").iterdir())) == before


@pytest.mark.parametrize("mode", [0o600, 0o660, 0o777])
def test_a_unix_socket_has_the_mode_that_was_asked_for(tmp_path: Path, opened: list[Listener], mode: int) -> None:
    path = tmp_path / "probe.sock"
    umask = os.umask(0o077)
    try:
        listen(opened, UnixBind(str(path)), mode=mode)
        assert stat.S_IMODE(path.stat().st_mode) == mode
        assert os.umask(0o077) == 0o077
    finally:
        os.umask(umask)


def test_a_unix_socket_is_removed_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "probe.sock"
    (listener,) = open_listeners([UnixBind(str(path))], backlog=1, unix_mode=0o600)
    assert listener.address == f"unix:{path}"
    listener.close()
    assert not path.exists()


@pytest.mark.parametrize("path", ["calc.sock", "./calc.sock"])
def test_a_relative_path_is_told_so_that_it_leads_there_from_everywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, opened: list[Listener], path: str
) -> None:
    monkeypatch.chdir(tmp_path)
    opened += open_listeners([UnixBind(path)], backlog=1, unix_mode=0o600)
    assert opened[0].address == f"unix:{tmp_path / path}"


def test_a_unix_socket_that_another_server_has_made_is_left_alone(tmp_path: Path, opened: list[Listener]) -> None:
    path = tmp_path / "probe.sock"
    (first,) = open_listeners([UnixBind(str(path))], backlog=1, unix_mode=0o600)
    path.unlink()
    listen(opened, UnixBind(str(path)))
    first.close()
    assert path.exists()


def test_a_stale_unix_socket_is_replaced(tmp_path: Path, opened: list[Listener]) -> None:
    path = tmp_path / "probe.sock"
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))
    listen(opened, UnixBind(str(path)))
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))


@pytest.mark.parametrize("backlog", [0, 8], ids=["with a full queue", "with room"])
def test_a_unix_socket_in_use_is_not_taken_away(tmp_path: Path, backlog: int) -> None:
    path = tmp_path / "probe.sock"
    with socket.socket(socket.AF_UNIX) as other, socket.socket(socket.AF_UNIX) as filler:
        other.bind(str(path))
        other.listen(backlog)
        filler.connect(str(path))
        with pytest.raises(BindError, match="another server"):
            open_listeners([UnixBind(str(path))], backlog=1, unix_mode=0o600)
        assert path.exists()


def test_a_file_is_never_removed(tmp_path: Path) -> None:
    path = tmp_path / "letters.txt"
    path.write_text("dear diary")
    with pytest.raises(BindError, match="no socket"):
        open_listeners([UnixBind(str(path))], backlog=1, unix_mode=0o600)
    assert path.read_text() == "dear diary"


def test_a_missing_folder_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(BindError, match="no such folder"):
        open_listeners([UnixBind(str(tmp_path / "nowhere/probe.sock"))], backlog=1, unix_mode=0o600)


def test_a_path_that_is_too_long_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(BindError, match="107 bytes"):
        open_listeners([UnixBind(str(tmp_path / ("x" * 120)))], backlog=1, unix_mode=0o600)


def abstract_name(length: int = 0) -> str:
    """A name that no other test has."""
    return f"@rpcserver-test-{os.getpid()}-{time.monotonic_ns()}".ljust(length, "x")


def test_an_abstract_socket_is_one_servers_at_a_time_and_open_to_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    bind = UnixBind(abstract_name())
    (listener,) = open_listeners([bind], backlog=1, unix_mode=0o600)
    assert listener.address == f"unix:{bind.path}"
    assert "every user of this machine may connect" in caplog.text
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(f"\0{bind.path[1:]}")
    with pytest.raises(BindError, match="another server listens there"):
        open_listeners([bind], backlog=1, unix_mode=0o600)
    listener.close()
    (again,) = open_listeners([bind], backlog=1, unix_mode=0o600)
    again.close()
    assert list(tmp_path.iterdir()) == []


def test_a_withdrawn_abstract_socket_keeps_those_who_wait(opened: list[Listener]) -> None:
    (listener,) = listen(opened, UnixBind(abstract_name()))
    listener.secure()
    with socket.socket(socket.AF_UNIX) as early, socket.socket(socket.AF_UNIX) as late:
        early.connect(f"\0{listener.address.removeprefix('unix:@')}")
        listener.withdraw()
        with pytest.raises(ConnectionRefusedError):
            late.connect(f"\0{listener.address.removeprefix('unix:@')}")
        (taken,) = listener.take_queued()
        taken.close()


def test_an_abstract_name_may_fill_the_whole_address(opened: list[Listener]) -> None:
    listen(opened, UnixBind(abstract_name(108)))
    with pytest.raises(BindError, match="107 bytes"):
        open_listeners([UnixBind(abstract_name(109))], backlog=1, unix_mode=0o600)


def test_a_file_whose_name_begins_as_an_abstract_one_is_listened_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, opened: list[Listener]
) -> None:
    monkeypatch.chdir(tmp_path)
    (listener,) = listen(opened, parse_bind("line+unix:./@file"))
    assert (tmp_path / "@file").is_socket()
    assert listener.address == f"line+unix:{tmp_path}/@file"
    assert UnixBind.of_name(listener.socket.getsockname()) == UnixBind("./@file")


@pytest.mark.parametrize("abstract", [True, False], ids=["abstract", "file"])
def test_a_name_that_is_no_utf8_is_listened_on_and_told_as_text(
    abstract: bool, tmp_path: Path, opened: list[Listener]
) -> None:
    where = f"{abstract_name()}-" if abstract else f"{tmp_path}/"
    bind = parse_bind(f"unix:{where}caf\udce9")
    assert parse_bind(f"unix:{where}caf\\udce9") == bind
    (listener,) = listen(opened, bind)
    assert listener.address == f"unix:{where}caf\\udce9"
    name = listener.socket.getsockname()
    assert os.fsencode(name).endswith(b"caf\xe9")
    assert UnixBind.of_name(name) == bind


def without_devices(listener: Listener) -> None:
    """As where only root may bind a socket to a device: before Linux 5.7."""
    listener._least_hops = _LEAST_HOPS[listener.socket.family]


@pytest.mark.parametrize("bind", [LOCAL, TcpBind("::1", 0), TcpBind("0.0.0.0", 0)], ids=["ipv4", "ipv6", "any"])
def test_a_withdrawn_listener_refuses_at_once_and_keeps_those_who_wait(bind: Bind, opened: list[Listener]) -> None:
    (listener,) = listen(opened, bind)
    if listener._least_hops is not None:
        pytest.skip("this kernel wants privilege for a socket to be bound to a device")
    host, _, port = listener.address.rpartition(":")
    target = (host.strip("[]"), int(port))
    with socket.create_connection(target, 5) as early:
        listener.withdraw()
        early.sendall(b"hello")
        for _ in range(3):
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(target, 10)
        (connection,) = listener.take_queued()
        with connection:
            connection.settimeout(5)
            assert connection.recv(10) == b"hello"
            connection.sendall(b"bye")
            assert early.recv(10) == b"bye"


@pytest.mark.parametrize("bind", [LOCAL, TcpBind("::1", 0)], ids=["ipv4", "ipv6"])
def test_a_listener_that_is_withdrawn_without_devices_lets_nobody_in(bind: Bind, opened: list[Listener]) -> None:
    (listener,) = listen(opened, bind)
    without_devices(listener)
    host, _, port = listener.address.rpartition(":")
    target = (host.strip("[]"), int(port))
    with socket.create_connection(target, 5) as early:
        listener.withdraw()
        early.sendall(b"hello")
        with socket.socket(early.family) as late:
            late.setblocking(False)
            late.connect_ex(target)
            assert not listener.in_handshake()
            taken = listener.take_queued()
            assert len(taken) == 1
            listener.shut_down()
            with taken[0] as connection:
                connection.settimeout(5)
                assert connection.recv(10) == b"hello"
                connection.sendall(b"bye")
                assert early.recv(10) == b"bye"
            # The dropped SYN is sent again after a second.
            _, answered, _ = select.select([], [late], [], 10)
            assert answered
            assert late.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.ECONNREFUSED


@pytest.mark.parametrize("devices", [True, False])
@pytest.mark.parametrize("host", ["0.0.0.0", "127.0.0.1"])
def test_a_handshake_under_way_is_told_of_and_ends_after_withdrawing(
    host: str, devices: bool, opened: list[Listener]
) -> None:
    (listener,) = listen(opened, TcpBind(host, 0))
    if not devices:
        without_devices(listener)
    # So the kernel leaves the handshake open until the client has said something.
    listener.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, 10)
    port = int(listener.address.rpartition(":")[2])
    assert not listener.in_handshake()
    with socket.create_connection(("127.0.0.1", port), 5) as early:
        listener.withdraw()
        assert listener.in_handshake()
        assert listener.take_queued() == []
        early.sendall(b"hello")
        assert select.select([listener], [], [], 10)[0]
        assert not listener.in_handshake()
        (connection,) = listener.take_queued()
        with connection:
            connection.settimeout(10)
            assert connection.recv(10) == b"hello"
            early.sendall(b"again")
            assert connection.recv(10) == b"again"


def test_a_listener_that_cannot_be_withdrawn_says_so(
    opened: list[Listener], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (listener,) = listen(opened, LOCAL)
    monkeypatch.setattr(listener, "_least_hops", (socket.IPPROTO_IP, 255))
    listener.withdraw()
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert "IP_MINTTL" in record.message
    assert listener.address in record.message


def test_a_unix_socket_that_is_withdrawn_keeps_those_who_wait(tmp_path: Path, opened: list[Listener]) -> None:
    (listener,) = listen(opened, UnixBind(str(tmp_path / "probe.sock")))
    with socket.socket(socket.AF_UNIX) as early, socket.socket(socket.AF_UNIX) as late:
        early.connect(str(tmp_path / "probe.sock"))
        # Who found the path before it was removed is refused as well.
        os.link(tmp_path / "probe.sock", tmp_path / "found.sock")
        listener.withdraw()
        assert not (tmp_path / "probe.sock").exists()
        with pytest.raises(ConnectionRefusedError):
            late.connect(str(tmp_path / "found.sock"))
        (connection,) = listener.take_queued()
        with connection:
            connection.sendall(b"hello")
            assert early.recv(10) == b"hello"


def test_a_peer_is_named(tmp_path: Path, opened: list[Listener]) -> None:
    tcp, unix = listen(opened, LOCAL, UnixBind(str(tmp_path / "probe.sock")))
    host, _, port = tcp.address.rpartition(":")
    with socket.create_connection((host, int(port)), 5) as client:
        (connection,) = tcp.take_queued()
        with connection:
            assert peer_address(connection) == format_host_port(*client.getsockname())
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(unix.address.removeprefix("unix:"))
        (connection,) = unix.take_queued()
        with connection:
            assert peer_address(connection) == f"unix:pid={os.getpid()},uid={os.getuid()}"


def test_a_queue_that_the_kernel_makes_shorter_is_said(
    opened: list[Listener], caplog: pytest.LogCaptureFixture
) -> None:
    longest = int(Path("/proc/sys/net/core/somaxconn").read_text())
    listen(opened, LOCAL, backlog=longest)
    assert caplog.text == ""
    listen(opened, LOCAL, backlog=longest + 1)
    assert f"only {longest} connections can wait, not {longest + 1}" in caplog.text
