"""What `--bind` means, and how it is written."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rpcserver.system.addresses import Bind, TcpBind, UnixBind, parse_bind


@pytest.mark.parametrize(
    ("text", "bind"),
    [
        ("127.0.0.1:8080", TcpBind("127.0.0.1", 8080)),
        ("localhost:0", TcpBind("localhost", 0)),
        ("[::1]:65535", TcpBind("::1", 65535)),
        ("[::]:1", TcpBind("::", 1)),
        ("unix:/run/calc.sock", UnixBind("/run/calc.sock")),
        ("unix:relative.sock", UnixBind("relative.sock")),
        ("unix:with:colon", UnixBind("with:colon")),
        ("unix:@calc", UnixBind("@calc")),
    ],
)
def test_an_address_is_read_and_written_alike(text: str, bind: Bind) -> None:
    assert parse_bind(text) == bind
    assert str(bind) == text


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("", "HOST:PORT"),
        ("localhost", "HOST:PORT"),
        ("localhost:", "HOST:PORT"),
        ("localhost:http", "HOST:PORT"),
        ("localhost:65536", "HOST:PORT"),
        ("localhost:-1", "HOST:PORT"),
        ("localhost:\N{ARABIC-INDIC DIGIT ONE}", "HOST:PORT"),
        (":8080", "127.0.0.1:8080"),
        ("::1:8080", "brackets"),
        ("unix:", "needs a path"),
        ("unix:a\0b", "needs a path"),
        ("unix:@", "unix:@calc"),
    ],
)
def test_what_is_no_address_is_refused_with_what_would_be_one(text: str, hint: str) -> None:
    with pytest.raises(ValueError, match=re.escape(hint)):
        parse_bind(text)


HOSTS = st.sampled_from(["127.0.0.1", "[::1]", "localhost", "*", "unix:/run/calc", "unix:@calc", "unix:calc", "fd://3"])
ADDRESSES = st.tuples(
    st.sampled_from(["", "", "line+"]), HOSTS, st.sampled_from(["", ":0", ":8080"]), st.text(max_size=2)
)


@example("line+unix:@calc")
@given(st.text() | ADDRESSES.map("".join))
def test_reading_an_address_never_fails_in_another_way(text: str) -> None:
    try:
        bind = parse_bind(text)
    except ValueError:
        return
    assert parse_bind(str(bind)) == bind
