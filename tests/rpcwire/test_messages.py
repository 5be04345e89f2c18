from __future__ import annotations

import dataclasses
import datetime as dt
import decimal
import enum
import json
import math
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET, Raw

from rpcwire import (
    EncodeError,
    ErrorCode,
    Fault,
    Goodbye,
    InvalidReply,
    InvalidRequest,
    Meta,
    ParseError,
    Reply,
    ReplyEncoder,
    Request,
    decode_params,
    decode_reply,
    decode_request,
    encode_fault,
    encode_reply,
    encode_request,
    encode_value,
    frame,
)
from tests.steps import steps

# Half-even rounding of floats is the codecs' own affair; every finite float and every integer must survive.


def len_of_digits(value: int) -> str:
    return f"{len(str(value))} characters"


texts = st.text(st.characters(exclude_categories=["Cs"]))
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=20,
)
ids = st.integers(-(2**63), 2**63) | texts
META = Meta(worker=3, pid=4711, generation=1, model="sync", service_us=12, served=99)


def test_a_request_has_the_keys_that_old_servers_read() -> None:
    assert json.loads(encode_request("ping")) == {"in": "ping", "params": None}


def test_absent_params_are_null() -> None:
    assert decode_params(decode_request(b'{"in":"ping"}').params) is None


@given(texts, values, st.none() | ids, st.booleans(), st.booleans())
def test_a_request_is_read_as_it_was_written(
    method: str, params: Any, id: int | str | None, meta: bool, close: bool
) -> None:
    sent = UNSET if id is None else id
    request = decode_request(encode_request(method, params, id=sent, meta=meta, close=close))
    assert (request.method, request.id, request.meta, request.close) == (method, sent, meta, close)
    assert decode_params(request.params) == params


@given(values)
def test_what_is_written_is_json_to_others(value: Any) -> None:
    assert json.loads(encode_value(value)) == value


@given(values)
def test_json_of_others_is_read(value: Any) -> None:
    assert decode_params(Raw(json.dumps(value).encode())) == value


@pytest.mark.parametrize("value", [2**63, -(2**64), 10**4299, -(10**1000)], ids=len_of_digits)
def test_big_integers_keep_every_digit(value: int) -> None:
    reply = decode_reply(encode_reply("pong", [value]))
    assert isinstance(reply, Reply)
    assert reply.result == [value]


def test_unknown_keys_are_ignored_on_both_sides() -> None:
    assert decode_request(b'{"jsonrpc":"2.0","in":"a","x":[1]}').method == "a"
    assert decode_reply(b'{"x":{},"out":"a","result":1}') == Reply("a", 1)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"x",
        b'{"in":"a"',
        b'{"in":"a"} {}',
        b'{"in":"\xff"}',
        b'{"in":"\\ud800"}',
        b'{"in":"a","params":NaN}',
        b'{"in":"a","params":Infinity}',
        b'{"in":"a","x":' + b"[" * 100_000,
        b"\xef\xbb\xbf{}",
    ],
)
def test_what_is_not_json_is_a_parse_error(body: bytes) -> None:
    with pytest.raises(ParseError) as caught:
        decode_request(body)
    assert caught.value.code is ErrorCode.PARSE_ERROR


def test_json_that_ends_too_early_is_said_to_be_json() -> None:
    with pytest.raises(ParseError, match=r"^the JSON ends too early$"):
        decode_request(b'{"in":"a"')


@pytest.mark.parametrize(
    "raw",
    [b'"\xff"', b'"\\ud800"', b'"\\udc00x"', b"1e999", b"[" * 100_000 + b"]" * 100_000, b"9" * 5000],
)
def test_what_hides_in_params_is_a_parse_error(raw: bytes) -> None:
    with pytest.raises(ParseError):
        decode_params(Raw(raw))


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b"1",
        b"null",
        b"{}",
        b'{"in":1}',
        b'{"in":null}',
        b'{"in":"a","id":1.5}',
        b'{"in":"a","meta":1}',
    ],
)
def test_json_that_is_no_request_says_what_a_request_is(body: bytes) -> None:
    with pytest.raises(InvalidRequest, match=r'a request is \{"in": METHOD') as caught:
        decode_request(body)
    assert caught.value.code is ErrorCode.INVALID_REQUEST


@given(st.binary(max_size=200))
def test_any_bytes_are_a_request_or_a_message_error(body: bytes) -> None:
    try:
        assert isinstance(decode_request(body), Request)
    except (ParseError, InvalidRequest) as error:
        assert error.reason


@given(st.binary(max_size=200))
def test_any_bytes_are_a_reply_or_a_message_error(body: bytes) -> None:
    try:
        assert isinstance(decode_reply(body), Reply | Goodbye)
    except (ParseError, InvalidReply) as error:
        assert error.reason


def test_typed_params_tell_a_wrong_type_from_bad_json() -> None:
    decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(dict[str, int])
    with pytest.raises(msgspec.ValidationError, match="Expected `int`"):
        decode_params(Raw(b'{"a":"x"}'), decoder)
    with pytest.raises(ParseError):
        decode_params(Raw(b'{"\xff":1}'), decoder)


class Point(msgspec.Struct):
    x: float


@dataclasses.dataclass(kw_only=True)
class Span:
    end: float


class Side(enum.Enum):
    LEFT = "left"
    RIGHT = "right"


class Level(enum.Enum):
    LOW = 0.5
    NONE = math.nan


@pytest.mark.parametrize(
    "value",
    [
        [None, Raw(b'{"a":null}'), 1.5],
        {"null": dt.datetime(2026, 1, 2, tzinfo=dt.UTC), "x": None},
        (decimal.Decimal("1.5"), "null", {None, 0.0}),
        [None, 0xCB7FF0 << 32, 2**70, {}, Level.LOW, {"a": Span(end=1.0)}],
    ],
)
def test_a_null_among_what_json_can_carry_is_sent(value: object) -> None:
    assert encode_value(value) == msgspec.json.encode(value)


def endless() -> list[Any]:
    value: list[Any] = []
    value.append(value)
    return value


@pytest.mark.parametrize(
    "value",
    [
        math.nan,
        [1, None, math.inf],
        {"a": {"b": -math.inf}},
        Point(math.nan),
        [Span(end=math.inf)],
        ({1, math.nan},),
        [2**70, None, {"a": [(math.inf,)]}],
        [2**70, Span(end=math.nan)],
        Level.NONE,
        "\ud800",
        {"\udfff": 1},
        object(),
        {(1, 2): 3},
        endless(),
        pytest.param(10**5000, id="5001 digits"),
    ],
)
def test_what_json_cannot_carry_is_refused_before_anything_is_sent(value: object) -> None:
    for write in (
        encode_value,
        ReplyEncoder("pong").encode,
        ReplyEncoder("pong").encode_with,
        lambda value: encode_request("ping", value),
        lambda value: encode_reply("pong", value),
        lambda value: encode_fault(Fault(1, "x", value)),
    ):
        with pytest.raises(EncodeError) as caught:
            write(value)
        assert caught.value.reason


@given(values, st.sampled_from([math.nan, math.inf, -math.inf]))
def test_what_is_no_number_is_refused_wherever_it_is(value: Any, number: float) -> None:
    for holder in ([value, None, number], {"a": value, "b": {"c": number}}, (value, [[number], value])):
        with pytest.raises(EncodeError):
            encode_value(holder)


@pytest.mark.parametrize("part", [0, 1.5, "a", [0], {}])
def test_a_null_costs_a_large_value_no_look_at_each_of_its_parts(part: object) -> None:
    by_key = {str(number): part for number in range(1000)}
    assert steps(lambda: encode_value([None, by_key, [part] * 1000])) < 50


@pytest.mark.parametrize("part", [dt.date(2026, 1, 2), Raw(b"[1]"), Side.LEFT])
def test_a_null_beside_an_integer_of_many_digits_has_each_kind_asked_once_what_it_is(part: object) -> None:
    def looks(count: int) -> int:
        return steps(lambda: encode_value([None, 2**70, [part] * count]))

    assert looks(200) - looks(100) < 100 * 5


@given(texts, values)
def test_both_encoders_of_replies_agree(out: str, result: Any) -> None:
    encoder = ReplyEncoder(out)
    assert encoder.encode(result) == frame(encode_reply(out, result))
    everything = encode_reply(out, result, id="7", meta=META, close=True)
    assert encoder.encode_with(result, id="7", meta=META, close=True) == frame(everything)


@given(texts, values, st.none() | ids, st.booleans(), st.booleans())
def test_a_reply_is_read_as_it_was_written(
    out: str, result: Any, id: int | str | None, with_meta: bool, close: bool
) -> None:
    sent = UNSET if id is None else id
    meta = META if with_meta else None
    body = encode_reply(out, result, id=sent, meta=meta, close=close)
    assert decode_reply(body) == Reply(out, result, sent, meta, close)


def test_a_reply_that_asks_for_nothing_has_only_the_two_old_keys() -> None:
    assert json.loads(encode_reply("pong", None)) == {"out": "pong", "result": None}


def test_a_frame_with_only_close_is_a_goodbye() -> None:
    assert decode_reply(b'{"close": true}') == Goodbye()


@pytest.mark.parametrize("body", [b"{}", b"[]", b'{"result":1}', b'{"close":false}', b'{"out":1,"result":1}'])
def test_json_that_is_no_reply_says_what_a_reply_is(body: bytes) -> None:
    with pytest.raises(InvalidReply, match=r'a reply is \{"out": NAME'):
        decode_reply(body)


@pytest.mark.parametrize("key", ["worker", "pid", "generation", "service_us", "served"])
@pytest.mark.parametrize(
    "value", ["-1", "9223372036854775808", f"1{'0' * 400}", "1.5", "1e3", "true", '"1"', "null", "[]"]
)
def test_the_numbers_of_meta_are_natural_and_fit_in_64_bits(key: str, value: str) -> None:
    numbers = {"worker": "1", "pid": "1", "generation": "0", "service_us": "1", "served": "9223372036854775807"}
    given = ",".join(f'"{name}":{number}' for name, number in {**numbers, key: value}.items())
    with pytest.raises(InvalidReply, match=rf"\$\.meta\.{key}"):
        decode_reply(f'{{"out":"a","result":1,"meta":{{"model":"sync",{given}}}}}'.encode())


def test_a_fault_keeps_its_fields() -> None:
    fault = Fault(ErrorCode.INVALID_PARAMS, "a is missing", {"path": "$.a"})
    body = encode_fault(fault, id=5)
    assert json.loads(body) == {
        "out": "error",
        "result": {"code": -32602, "message": "a is missing", "data": {"path": "$.a"}},
        "id": 5,
    }
    reply = decode_reply(body)
    assert isinstance(reply, Reply)
    assert reply.fault == fault


def test_a_fault_without_data_has_no_such_key() -> None:
    assert json.loads(encode_fault(Fault(-32000, "no")))["result"] == {"code": -32000, "message": "no"}


@pytest.mark.parametrize(("result", "message"), [("no such user", "no such user"), ([1], "[1]"), (None, "null")])
def test_an_error_of_another_shape_is_an_application_error(result: Any, message: str) -> None:
    assert Reply("error", result).fault == Fault(ErrorCode.APPLICATION_ERROR, message, result)


def test_a_good_reply_has_no_fault() -> None:
    assert Reply("pong", {"code": 1, "message": "x"}).fault is None
