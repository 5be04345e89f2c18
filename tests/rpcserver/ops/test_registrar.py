"""As what a server is registered, by where it listens and what it is told."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from rpcserver.ops.registrar import place_of
from rpcserver.system.addresses import parse_bind
from rpcserver.system.settings import ServerSettings, SettingsError, parse_advertised
from rpcserver.system.sockets import Listener, open_listeners
from rpcwire.serverset import Endpoint, ServersetAddress
from tests.servers import launched

ADDRESS = ServersetAddress.parse("zk://127.0.0.1:1/services/calc")


@contextlib.contextmanager
def listening(*addresses: str) -> Iterator[list[Listener]]:
    listeners = open_listeners(map(parse_bind, addresses), backlog=1, unix_mode=0o600)
    try:
        yield listeners
    finally:
        for listener in listeners:
            listener.close()


def port_of(listener: Listener) -> int:
    port: int = listener.socket.getsockname()[1]
    return port


def told(listeners: list[Listener], advertise: str | None = None, *, tls: bool = False) -> str:
    where = None if advertise is None else parse_advertised(advertise)
    settings = ServerSettings(advertise=where, tls_cert=Path("cert.pem") if tls else None)
    place = place_of(settings, listeners, ADDRESS)
    assert place.registry == str(ADDRESS)
    assert place.address.endswith(str(place.endpoint))
    return place.address


def test_a_server_is_registered_where_it_listens(tmp_path: Path) -> None:
    with listening("127.0.0.1:0", f"unix:{tmp_path}/socket") as listeners:
        assert told(listeners) == listeners[0].address
        assert told(listeners, tls=True) == f"tls://{listeners[0].address}"
    with listening("line+tcp://127.0.0.1:0") as listeners:
        assert told(listeners) == listeners[0].address
    with listening("[::1]:0") as listeners:
        assert told(listeners) == listeners[0].address


@pytest.mark.parametrize(
    ("where", "advertised", "found"),
    [
        ("127.0.0.1:0", None, "127.0.0.1"),
        ("0.0.0.0:0", "10.0.0.5", "10.0.0.5"),
        ("127.0.0.1:0", "10.0.0.5", None),
    ],
)
def test_its_metrics_are_told_where_clients_can_reach_them(
    where: str, advertised: str | None, found: str | None
) -> None:
    with listening("127.0.0.1:0") as listeners, listening(where) as metrics:
        settings = ServerSettings(advertise=None if advertised is None else parse_advertised(advertised))
        place = place_of(settings, listeners, ADDRESS, metrics)
        assert place.metrics == (None if found is None else Endpoint(found, port_of(metrics[0])))


def test_or_as_what_it_is_told() -> None:
    with listening("0.0.0.0:0", "line+tcp://127.0.0.1:0") as listeners:
        first, second = map(port_of, listeners)
        assert told(listeners, f"calc.example.org:{first}") == f"calc.example.org:{first}"
        assert told(listeners, f"10.0.0.1:{second}") == f"line+tcp://10.0.0.1:{second}"
    with listening("0.0.0.0:0") as listeners:
        # The port outside need not be the one inside, as in a container.
        assert told(listeners, "[2001:db8::1]:9") == "[2001:db8::1]:9"
        assert told(listeners, "calc-1") == f"calc-1:{port_of(listeners[0])}"


@pytest.mark.parametrize(
    ("bind", "advertise", "reason"),
    [
        (["unix:{}/socket"], None, "no other machine can connect to a Unix socket"),
        (["0.0.0.0:0"], None, "needs --advertise HOST:PORT, since 0.0.0.0:"),
        (["[::]:0"], None, "needs --advertise HOST:PORT, since "),
        (["127.0.0.1:0", "127.0.0.1:0"], None, "to choose one of 127.0.0.1:"),
        (["127.0.0.1:0", "127.0.0.1:0"], "10.0.0.1", "needs a port, one of "),
        (["127.0.0.1:0", "line+tcp://127.0.0.1:0"], "10.0.0.1:1", "to choose one of "),
    ],
)
def test_what_is_not_clear_is_asked_for(bind: list[str], advertise: str | None, reason: str, tmp_path: Path) -> None:
    with (
        listening(*(address.format(tmp_path) for address in bind)) as listeners,
        pytest.raises(SettingsError) as caught,
    ):
        told(listeners, advertise)
    assert reason in str(caught.value)


@pytest.mark.parametrize(
    "text", ["", ":80", "unix:/x", "0.0.0.0:80", "[::]:80", "::1", "h:99999", "a b:1", "line+tcp://h:1", "u@h:1", "h/x"]
)
def test_what_no_client_could_connect_to_is_not_advertised(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_advertised(text)


@pytest.mark.samples(3)
@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--advertise", "10.0.0.1:1"], "--advertise is for a registry"),
        (["--register-credentials", "x"], "--register-credentials is for a registry"),
        (["--register", "zk://h/a", "--register-ca", "x"], "write the registry's address as zks://"),
        (["--register", "zks://h/a", "--register-key", "x"], "add --register-cert"),
        (["--register", "h:2181/a"], "is no address of a registry"),
        (["--register", "zk://u:hunter2@h/a"], "takes no user and no password"),
        (["--register", "zk://h/a", "--register-session", "0"], "register-session"),
        (["--register", "zk://h/a", "--register-credentials", "nothing.toml"], "nothing.toml: cannot be read"),
        (["--register", "zks://h/a", "--register-ca", "nothing.pem"], "nothing.pem: holds no authorities"),
    ],
)
def test_what_cannot_be_is_said_at_the_start(options: list[str], said: str, tmp_path: Path) -> None:
    with launched("--bind", "127.0.0.1:0", *options, cwd=tmp_path) as server:
        assert server.wait() == 2
        assert said in server.log()
        assert "hunter2" not in server.log()


def test_options_come_from_a_file_and_from_the_environment_too(tmp_path: Path) -> None:
    (tmp_path / "server.toml").write_text('register = "zk://h/"\n')
    with launched("--config", "server.toml", cwd=tmp_path) as server:
        assert server.wait() == 2
        assert "server.toml:1: " in server.log()
    with launched(env={"RPCSERVER_ADVERTISE": "0.0.0.0:1"}) as server:
        assert server.wait() == 2
        assert "RPCSERVER_ADVERTISE" in server.log()
