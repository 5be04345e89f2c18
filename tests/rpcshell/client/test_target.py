from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpcshell import (
    ChildTarget,
    DnsTarget,
    HttpTarget,
    ListTarget,
    ServersetTarget,
    SrvTarget,
    Target,
    TcpTarget,
    TlsTarget,
    UnixTarget,
    UsageError,
)

ports = st.integers(1, 65535)
names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9.-]{0,40}", fullmatch=True)
paths = st.from_regex(r"/[A-Za-z0-9._ :\[\]é-]{0,20}[a-z0-9]", fullmatch=True)
dialects = st.sampled_from(["", "jsonrpc", "jsonrpc1", "jsonrpc+line"])
targets = st.one_of(
    st.builds(TcpTarget, st.sampled_from(["native", "jsonrpc", "unix", "exec"]), ports, dialect=dialects),
    st.builds(UnixTarget, paths, dialect=dialects),
    st.builds(TlsTarget, names, ports, dialect=dialects),
    st.builds(ChildTarget, st.lists(st.text(st.characters(exclude_characters="\0")), min_size=1).map(tuple)),
    st.builds(ChildTarget, st.just(("a", "b c")), dialect=dialects),
    st.builds(TcpTarget, names, ports),
    st.builds(TcpTarget, st.ip_addresses(v=4).map(str), ports),
    st.builds(TcpTarget, st.ip_addresses(v=6).map(str), ports),
    st.builds(TlsTarget, names, ports),
    st.builds(TlsTarget, st.ip_addresses(v=6).map(str), ports),
    st.builds(UnixTarget, paths),
    st.builds(
        ListTarget,
        st.lists(st.builds(TcpTarget, names, ports) | st.builds(TlsTarget, names, ports), min_size=2, unique=True).map(
            tuple
        ),
    ),
    st.builds(DnsTarget, names, ports),
    st.builds(SrvTarget, st.just("_rpc._tcp.example.org"), st.booleans()),
    st.builds(ServersetTarget, st.just("zks://h1:2181,[::1]:2182/services/calc")),
)


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("example.org:8080", TcpTarget("example.org", 8080)),
        ("h1:1,[::1]:2,3", ListTarget((TcpTarget("h1", 1), TcpTarget("::1", 2), TcpTarget("localhost", 3)))),
        ("tls://h1:1,h2:1,tcp://h3:1", ListTarget((TlsTarget("h1", 1), TlsTarget("h2", 1), TcpTarget("h3", 1)))),
        ("h1:1,tls://h2:1", ListTarget((TcpTarget("h1", 1), TlsTarget("h2", 1)))),
        ("native:h1:1,h2:1", ListTarget((TcpTarget("h1", 1), TcpTarget("h2", 1)))),
        ("h1:1,h1:1", TcpTarget("h1", 1)),
        ("/run/a,b", UnixTarget("/run/a,b")),
        ("zk://h1,h2:3/services/calc", ServersetTarget("zk://h1:2181,h2:3/services/calc")),
        ("srv://_rpc._tcp.calc.svc", SrvTarget("_rpc._tcp.calc.svc")),
        ("srv+tls://_rpc._tcp.calc.svc.", SrvTarget("_rpc._tcp.calc.svc.", tls=True)),
        ("dns://calc.svc:80", DnsTarget("calc.svc", 80)),
        ("8080", TcpTarget("localhost", 8080)),
        (":8080", TcpTarget("localhost", 8080)),
        ("[::1]:80", TcpTarget("::1", 80)),
        ("[fe80::1%eth0]:80", TcpTarget("fe80::1%eth0", 80)),
        ("büro.example:1", TcpTarget("büro.example", 1)),
        ("tls://example.org:8443", TlsTarget("example.org", 8443)),
        ("TLS://8443", TlsTarget("localhost", 8443)),
        ("tls://[::1]:8443", TlsTarget("::1", 8443)),
        ("unix:/run/calc.sock", UnixTarget("/run/calc.sock")),
        ("/run/calc.sock", UnixTarget("/run/calc.sock")),
        ("unix:@calc", UnixTarget("@calc")),
        ("unix:@/org/example/", UnixTarget("@/org/example/")),
        ("unix:@caf\udce9", UnixTarget("@caf\\udce9")),
        ("unix:/run/caf\\udce9", UnixTarget("/run/caf\\udce9")),
        ("jsonrpc:unix:/run/vm.sock", UnixTarget("/run/vm.sock", dialect="jsonrpc")),
        ("jsonrpc+line:example.org:80", TcpTarget("example.org", 80, dialect="jsonrpc+line")),
        ("jsonrpc1:80", TcpTarget("localhost", 80, dialect="jsonrpc1")),
        ("jsonrpc:tls://example.org:80", TlsTarget("example.org", 80, dialect="jsonrpc")),
        ("native:jsonrpc:80", TcpTarget("jsonrpc", 80)),
        ("exec:server 'a b'", ChildTarget(("server", "a b"))),
        ("jsonrpc:exec:server --stdio", ChildTarget(("server", "--stdio"), dialect="jsonrpc")),
        ("line+tcp://127.0.0.1:8081", TcpTarget("127.0.0.1", 8081, dialect="jsonrpc+line")),
        ("content-length+tcp://[::1]:81", TcpTarget("::1", 81, dialect="jsonrpc+content-length")),
        ("u32be+unix:/run/x.sock", UnixTarget("/run/x.sock", dialect="jsonrpc+u32be")),
        ("nul+unix:@calc", UnixTarget("@calc", dialect="jsonrpc+nul")),
        ("line+tls://example.org:80", TlsTarget("example.org", 80, dialect="jsonrpc+line")),
        ("u32le+tcp://127.0.0.1:8081", TcpTarget("127.0.0.1", 8081)),
        ("jsonrpc:https://example.org/rpc?a=1", HttpTarget("https://example.org/rpc?a=1", dialect="jsonrpc")),
        ("http://host/path", HttpTarget("http://host/path")),
    ],
)
def test_every_form_of_a_target_is_read(text: str, target: Target) -> None:
    assert Target.parse(text) == target


@pytest.mark.parametrize(("path", "name"), [("@caf\\udce9", "\0caf\udce9"), ("/run/\\udcff.sock", "/run/\udcff.sock")])
def test_bytes_of_a_sockets_name_that_are_no_utf8_are_written_as_text(path: str, name: str) -> None:
    target = Target.parse(f"unix:{path}")
    assert isinstance(target, UnixTarget)
    assert (str(target), target.name) == (f"unix:{path}", name)


def test_a_relative_socket_path_may_begin_in_a_folder_whose_name_is_no_utf8(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "caf\udce9"
    folder.mkdir()
    monkeypatch.chdir(folder)
    assert Target.parse("unix:calc.sock") == UnixTarget(f"{tmp_path}/caf\\udce9/calc.sock")


@pytest.mark.parametrize("text", ["unix:calc.sock", "./calc.sock"])
def test_a_relative_socket_path_is_made_absolute(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert Target.parse(text) == UnixTarget(str(tmp_path / "calc.sock"))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "empty"),
        ("example.org", "has no port"),
        ("localhost:18080/ping", "a method is a word of its own: localhost:18080 ping; unix:localhost:18080/ping is"),
        ("[::1]:18080/a/b", "a method is a word of its own: [::1]:18080 a.b"),
        ("localhost:18080/", "write localhost:18080"),
        ("host:", "is not a port"),
        ("host:http", "is not a port"),
        ("host:0", "out of range"),
        ("host:65536", "out of range"),
        ("host:-1", "is not a port"),
        ("host:123456", "is not a port"),
        ("\uff18\uff10", "is not a port"),
        ("::1:80", "brackets"),
        ("[::1]", "no port"),
        ("[::1", "no port"),
        ("[host]:80", "not an IPv6 address"),
        ("[::1%]:80", "not an interface"),
        ("my host:80", "not a host name"),
        ("host\x1b[2J:80", "not a host name"),
        ("unix:", "names no socket"),
        ("unix:@", "names no socket"),
        ("unix:@a\0b", "names no socket"),
        (f"unix:@{'x' * 108}", "takes 108"),
        ("unix:/run/", "names no socket"),
        ("/run/\0x", "names no socket"),
        ("/" + "x" * 200, "bytes long"),
        ("/run/\ud800", "not valid Unicode"),
        ("tls://", "no host and port"),
        ("tls://host", "has no port"),
        ("tls://host:443/path", "more than a host and a port"),
        ("tls://[::1]", "no port"),
        ("tls://unix:/path", "more than"),
        ("jsonrpc:ftp://host/path", "not supported"),
        ("jsonrpc:http://", "no URL"),
        ("jsonrpc:http://host:port/", "no URL"),
        ("jsonrpc:http://me:secret@host/", "shown and remembered"),
        ("tls://me:secret@host:1", "no user and no password"),
        ("me:secret@host:1", "no user and no password"),
        ("redis://me:secret@host/", "no user and no password"),
        ("jsonrpc:jsonrpc:host:80", "several colons"),
        ("unheard:example.org:80", "several colons"),
        ("mpc:exec:cat", "no dialect 'mpc'"),
        ("mpc:unix:/run/x", "no dialect 'mpc'"),
        ("mpc:http://host/mcp", "no dialect 'mpc'"),
        ("exec:", "names no command"),
        ("h1:1,", "has a comma with no server beside it"),
        (",h1:1", "has a comma with no server beside it"),
        ("tls://h1:1, ,h2:1", "has a comma with no server beside it"),
        ("h1:1,http://h2/x", "'http://h2/x' in target"),
        ("h1:1,unix:/run/x", "'unix:/run/x' in target"),
        ("jsonrpc:h1:1,h2:1", "in the native protocol, not in jsonrpc"),
        ("line+tcp://h1:1,h2:1", "in the native protocol, not in jsonrpc"),
        ("zk://h1", "has no path"),
        ("srv://calc", "names no service in the DNS"),
        ("dns://calc", "has no port"),
        ("exec:a 'b", "does not parse"),
    ],
)
def test_what_is_no_target_is_refused_with_a_reason(text: str, says: str) -> None:
    with pytest.raises(UsageError) as caught:
        Target.parse(text)
    assert says in str(caught.value)
    assert "secret" not in f"{caught.value} {caught.value.hint}"


@given(targets)
def test_a_printed_target_is_read_back(target: Target) -> None:
    assert Target.parse(str(target)) == target


@given(st.text(max_size=40) | st.tuples(targets.map(str), st.text(max_size=2)).map("".join))
def test_any_text_is_a_target_or_a_usage_error(text: str) -> None:
    try:
        target = Target.parse(text)
    except UsageError as error:
        assert error.exit_code == 2
    else:
        assert Target.parse(str(target)) == target
