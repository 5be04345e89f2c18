"""Names of sockets as text: whatever bytes they are, what is written leads back to them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpcwire.socket_names import meant_name, written_name


@given(st.binary())
def test_what_is_written_of_any_bytes_is_utf8_and_means_them(name: bytes) -> None:
    written = written_name(name.decode("utf-8", "surrogateescape"))
    assert meant_name(written.encode().decode()).encode("utf-8", "surrogateescape") == name
    assert written_name(written) == written


@pytest.mark.parametrize("name", ["calc", "café", "a\\b", "\\udc7f", "\\udce", "\\u00e9", "\\udcE9"])
def test_other_names_are_written_as_they_are(name: str) -> None:
    assert written_name(name) == meant_name(name) == name
