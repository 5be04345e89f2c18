from typing import Any

import msgspec
import pytest

from rpcshell.commands.export import Kind, export_text
from rpcshell.commands.export.exported import SecretPlace, Secrets
from tests.rpcshell.commands.export.calls import answered, export, refused


def hidden(params: Any, *, others: Any = ()) -> Any:
    return Secrets([answered("m", params), *others]).hide_params(answered("m", params))


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("password", "PASSWORD"),
        ("apiKey", "API_KEY"),
        ("X-Auth-Token", "X_AUTH_TOKEN"),
        ("2nd secret", "SECRET_2ND_SECRET"),
    ],
)
def test_a_secret_is_named_after_its_key(key: str, name: str) -> None:
    assert hidden({key: "hunter22", "b": 1}) == {key: SecretPlace(name, key, "m", True), "b": 1}


def test_the_same_secret_has_one_name_and_another_one_another() -> None:
    found = hidden([{"password": "one and only"}, {"token": "one and only"}, {"password": "a second"}])
    assert [secret.name for each in found for secret in each.values()] == ["PASSWORD", "PASSWORD", "PASSWORD_2"]


def test_a_secret_under_another_key_is_one_too() -> None:
    found = hidden({"password": "hunter22", "url": "http://hunter22@host", "n": "hunter"})
    assert found["url"] == SecretPlace("SECRET_URL", "url", "m", True)
    assert found["n"] == "hunter"


def test_what_says_that_there_is_no_secret_stays() -> None:
    nothing: dict[str, object] = {"password": None, "secret": False, "token": "", "cookies": []}
    assert hidden(nothing) == nothing


def test_other_json_can_be_a_secret() -> None:
    assert hidden({"token": 12345, "credentials": {"a": "b"}}) == {
        "token": SecretPlace("TOKEN", "token", "m", False),
        "credentials": SecretPlace("CREDENTIALS", "credentials", "m", False),
    }


@pytest.mark.parametrize("kind", ["python", "shell", "pytest"])
def test_no_secret_gets_into_a_file(kind: Kind) -> None:
    records = [
        answered("login", {"user": "ada", "password": "hunter22"}, {"token": "abcdefgh", "user": "ada"}),
        answered("whoami", {"session": "abcdefgh"}, {"echo": "abcdefgh"}),
        answered("pin", {"token": 987654}, {"token": 987654}),
        refused("login", {"password": "wr0ngwr0ng"}, message="no 'wr0ngwr0ng' here"),
    ]
    text = export_text(kind, export(records, exact=True))
    for secret in ("hunter22", "abcdefgh", "987654", "wr0ngwr0ng"):
        assert secret not in text
    assert "RPCSHELL_PASSWORD" in text
    assert "RPCSHELL_PASSWORD_2" in text
    assert "ada" in text


@pytest.mark.parametrize("kind", ["python", "shell", "pytest"])
def test_what_a_file_would_give_away_by_its_place_or_in_a_text_is_not_in_it(kind: Kind) -> None:
    calls = [
        msgspec.structs.replace(answered("login", ["bob", "hunter22"]), names=("user", "password")),
        msgspec.structs.replace(answered("unlock", "hunter22b"), names=("token",)),
        answered(
            "open", {"url": "amqp://bob:hunter22c@host/", "body": '{"otp": "hunter22d"}'}, "http://u:hunter22e@host"
        ),
        answered("ping", 1, target="https://bob:hunter22f@host/rpc"),
        refused("open", {"url": "x"}, message="no amqp://bob:hunter22g@host here"),
    ]
    text = export_text(kind, export(calls))
    assert "hunter22" not in text
    assert '"bob"' in text
    assert "RPCSHELL_PASSWORD" in text
    assert "RPCSHELL_TOKEN" in text
    assert "RPCSHELL_SECRET_URL" in text
