from __future__ import annotations

import copy
import math
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpcwire import (
    EncodeError,
    Fault,
    Floats,
    InvalidReply,
    ParseError,
    Reply,
    TextFloat,
    decode_reply,
    decode_value,
    encode_request,
    encode_value,
    read_float,
)
from tests.rpcwire.test_messages import values

NUMBERS = st.from_regex(r"-?(0|[1-9][0-9]{0,30})(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,4})?", fullmatch=True).filter(
    lambda text: any(mark in text for mark in ".eE")
)


def result_of(text: str, floats: Floats) -> object:
    reply = decode_reply(f'{{"out":"x","result":{text}}}'.encode(), floats)
    assert isinstance(reply, Reply)
    return reply.result


def fault_of(body: bytes, floats: Floats) -> tuple[object, Fault]:
    """The id of an error reply, and its fault."""
    reply = decode_reply(body, floats)
    assert isinstance(reply, Reply)
    assert reply.fault is not None
    return reply.id, reply.fault


@given(NUMBERS)
def test_a_number_goes_back_as_it_came_where_its_text_is_kept(text: str) -> None:
    assert encode_value(result_of(f'[{text},null,{{"a":{text}}}]', "text")).decode() == f'[{text},null,{{"a":{text}}}]'


@given(NUMBERS)
def test_a_decimal_has_every_digit_both_ways(text: str) -> None:
    value = result_of(text, "decimal")
    assert isinstance(value, Decimal)
    assert value == Decimal(text)
    assert Decimal(encode_value([value], "decimal").decode()[1:-1]) == Decimal(text)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_float_that_python_writes_just_so_stays_one(value: float) -> None:
    assert type(read_float(repr(value))) is (TextFloat if "e" in repr(value) else float)
    assert read_float(repr(value)) == value
    assert encode_value(read_float(repr(value))).decode() == repr(value)


@given(NUMBERS)
def test_a_number_with_a_text_is_the_nearest_float(text: str) -> None:
    value = read_float(text)
    assert value == float(text)
    assert str(value) == repr(value) == f"{value}" == text
    assert repr(copy.deepcopy(value)) == text


@given(values)
def test_what_is_no_float_does_not_depend_on_what_floats_become(value: object) -> None:
    text = encode_value(value)
    assert encode_value(result_of(text.decode(), "text")) == text


@pytest.mark.parametrize("text", ["-0", "[-0,-0.0,0]", '{"a-0":-0,"-0":"-0,-0","\\\\":[ -0 ]}', '"-0"', '["\\"-0"]'])
def test_a_negative_zero_without_a_fraction_is_written_as_it_was(text: str) -> None:
    assert encode_value(result_of(text, "text")) == text.replace(" ", "").encode()
    assert encode_value(decode_value(text.encode(), "text")) == text.replace(" ", "").encode()
    assert repr(result_of("-0", "float")) == "0"


def test_a_negative_zero_in_the_envelope_is_the_integer() -> None:
    body = b'{"out":"error","id":-0,"result":{"code":-0,"message":"-0"}}'
    assert fault_of(body, "text") == (0, Fault(0, "-0"))


def test_floats_are_the_nearest_of_python_unless_told_otherwise() -> None:
    assert type(result_of("2.50", "float")) is float
    assert encode_value(result_of("[2.50,0.1234567890123456789]", "float")) == b"[2.5,0.12345678901234568]"


def test_a_decimal_is_a_string_for_whoever_reads_floats() -> None:
    assert encode_request("pay", {"price": Decimal("2.50")}) == b'{"in":"pay","params":{"price":"2.50"}}'
    request = encode_request("pay", {"price": Decimal("2.50")}, floats="decimal")
    assert request == b'{"in":"pay","params":{"price":2.50}}'


@pytest.mark.parametrize("value", [Decimal("NaN"), Decimal("-Infinity"), Decimal("sNaN")])
def test_a_decimal_that_json_does_not_know_is_not_sent(value: Decimal) -> None:
    with pytest.raises(EncodeError, match="NaN and Infinity"):
        encode_value({"a": [value]}, "decimal")
    assert encode_value([value, None]) == f'["{value}",null]'.encode()
    assert encode_value(["NaN", "Infinity", Decimal(1)], "decimal") == b'["NaN","Infinity",1]'


@pytest.mark.parametrize(
    "text", ["nan", "inf", "1_000", " 1.5", "1.5\n", "01.5", ".5", "5.", "+1.5", "\u0661.\u0665", ""]
)
def test_only_a_number_of_json_has_a_text(text: str) -> None:
    with pytest.raises(ValueError, match="not a number of JSON"):
        TextFloat(text)


def test_a_number_that_python_cannot_hold_is_told_of() -> None:
    with pytest.raises(InvalidReply, match=r'out of range - at `.*`; floats="decimal"'):
        result_of("1E400", "float")
    with pytest.raises(InvalidReply, match=r"^an integer has more than 4300 digits - at `\$\.result`$"):
        result_of("9" * 4301, "float")
    with pytest.raises(ParseError, match=r"^an integer has more than 4300 digits$"):
        decode_value(b"9" * 4301)
    with pytest.raises(ParseError, match="exponent that is out of range"):
        result_of("1e9999999999999999999", "decimal")
    value = result_of("1e9999999999999999999", "text")
    assert isinstance(value, float)
    assert math.isinf(value)
    assert encode_value(value) == b"1e9999999999999999999"


def test_numbers_of_the_envelope_are_what_they_are_whatever_floats_become() -> None:
    body = b'{"out":"error","result":{"code":-32601,"message":"no","data":[2.50]}}'
    _, fault = fault_of(body, "text")
    assert (fault.code, repr(fault.data)) == (-32601, "[2.50]")
    _, fault = fault_of(b'{"out":"error","result":[2.50]}', "decimal")
    assert fault.message == "[2.50]"


def test_what_json_cannot_carry_is_told_of_as_before() -> None:
    with pytest.raises(EncodeError, match="encoding objects of type object is unsupported"):
        encode_value([object()])
    with pytest.raises(TypeError):
        msgspec.json.encode(TextFloat("2.50"))
