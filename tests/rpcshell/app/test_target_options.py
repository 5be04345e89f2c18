"""Options that add to the target: headers of HTTP. Those of registries are tested with these."""

from __future__ import annotations

from pathlib import Path

import pytest

from rpcshell.app.arguments import read_arguments
from rpcshell.client.errors import UsageError
from rpcshell.client.target import HttpTarget


def test_headers_go_to_a_url_with_what_the_environment_has_for_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", "t0p")
    words = ["mcp:https://h/mcp", "--header", "Authorization: Bearer ${TOKEN}", "--header", "X-Trace:"]
    options = read_arguments(words)
    assert options is not None
    assert isinstance(options.target, HttpTarget)
    assert options.target.headers == (("Authorization", "Bearer t0p"), ("X-Trace", ""))
    assert "t0p" not in f"{options.target}{options!r}"


def test_headers_take_the_place_of_those_of_the_configuration(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text('[targets.prod]\naddress = "mcp:https://h/mcp"\nheaders = {authorization = "a", X-Kept = "b"}\n')
    options = read_arguments(["--config", str(file), "prod", "--header", "Authorization:c"])
    assert options is not None
    assert options.target == "prod"
    assert options.config.targets["prod"].headers == {"X-Kept": "b", "Authorization": "c"}


@pytest.mark.parametrize(
    ("target", "header", "said"),
    [
        ("8080", "A:b", "--header is for a URL"),
        ("https://h/mcp", "bearer", "--header takes NAME:VALUE"),
        ("https://h/mcp", "A b:c", "'A b' is no header of HTTP"),
        ("https://h/mcp", "A:${NOBODY_SETS_THIS}", "NOBODY_SETS_THIS"),
    ],
)
def test_what_is_no_header_is_refused(target: str, header: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_arguments([target, "--header", header])
    assert said in str(caught.value)
