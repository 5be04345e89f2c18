"""Numbers with a fraction or an exponent, in both clients: what a float loses is the program's choice."""

from __future__ import annotations

from decimal import Decimal

import pytest

from rpcshell import UsageError
from rpcwire import TextFloat
from tests.rpcshell.faces import Connect
from tests.rpcshell.peers import echo_text, serving

DIGITS = "12345678901234567890.12"


def test_numbers_are_floats_unless_the_program_chooses(connect: Connect) -> None:
    with serving(echo_text) as server, connect(server.target) as client:
        assert client.call("ping", {"price": TextFloat("2.50")}) == {"price": 2.5}
        assert type(client.call("ping", 2.5)) is float
        assert client.call("ping", Decimal("2.50")) == "2.50"


def test_decimals_go_and_come_with_every_digit(connect: Connect) -> None:
    with serving(echo_text) as server, connect(server.target, floats="decimal") as client:
        for text in (DIGITS, "2.50", "1E+400", "-0.0"):
            result = client.call("ping", [Decimal(text), 1, None])
            assert [repr(part) for part in result] == [repr(Decimal(text)), "1", "None"]
        assert client.call("ping", "2.50") == "2.50"
        with pytest.raises(UsageError, match="NaN"):
            client.call("ping", Decimal("NaN"))


def test_floats_with_their_text_go_and_come_as_written(connect: Connect) -> None:
    with serving(echo_text) as server, connect(server.target, floats="text") as client:
        for text in (DIGITS, "2.50", "1E400", "-0.0", "1.0"):
            assert repr(client.call("ping", {"a": client.call("ping", TextFloat(text))})) == f"{{'a': {text}}}"


def test_another_choice_is_refused(connect: Connect) -> None:
    with serving(echo_text) as server, pytest.raises(UsageError, match="float, decimal, text, not 'money'"):
        connect(server.target, floats="money")
