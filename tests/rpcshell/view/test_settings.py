import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpcshell.client.errors import UsageError
from rpcshell.view.settings import Settings


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("format", "Table", "table"),
        ("time", "off", False),
        ("time", "TRUE", True),
        ("pager", False, False),
        ("timeout", "2.5", 2.5),
        ("timeout", "30s", 30.0),
        ("timeout", 5, 5.0),
        ("timeout", "none", None),
        ("timeout", "0", None),
        ("indent", 4, 4),
        ("max_rows", "0", 0),
        ("editing", "vi", "vi"),
        ("theme", "any-name", "any-name"),
    ],
)
def test_a_setting_takes_text_and_values(name: str, text: str | float, value: object) -> None:
    settings = Settings()
    settings.set(name, text)
    assert getattr(settings, name) == value


@pytest.mark.parametrize(
    ("name", "text", "hint"),
    [
        ("format", "xml", "auto, json, table or raw"),
        ("time", "maybe", "on or off"),
        ("indent", "9", "from 0 to 8"),
        ("indent", "-1", "from 0 to 8"),
        ("max_rows", "many", "at least 0"),
        ("max_rows", "9" * 5000, "at least 0"),
        ("timeout", "-1", "above 0, or none"),
        ("timeout", "nan", "above 0, or none"),
        ("timeout", "1e300", "above 0, or none"),
        ("editing", "nano", "emacs or vi"),
        ("theme", "", "auto"),
        ("formt", "json", "did you mean format?"),
        ("qqq", "1", "there are format,"),
    ],
)
def test_what_cannot_be_is_refused_with_what_can(name: str, text: str, hint: str) -> None:
    settings = Settings()
    before = list(settings.items())
    with pytest.raises(UsageError) as raised:
        settings.set(name, text)
    assert hint in str(raised.value.hint)
    assert list(settings.items()) == before


def test_themes_are_those_of_whoever_draws() -> None:
    settings = Settings()
    settings.offer_themes(lambda: ("monokai", *(f"style-{number}" for number in range(40))))
    settings.set("theme", "monokai")
    assert settings.choices("theme")[:4] == ("auto", "light", "dark", "monokai")
    with pytest.raises(UsageError, match="did you mean monokai"):
        settings.set("theme", "monoky")
    with pytest.raises(UsageError, match=":set theme lists them"):
        settings.set("theme", "qqq")


def test_a_change_is_told_and_what_is_none_is_not() -> None:
    settings = Settings()
    told: list[str] = []
    settings.on_change(told.append)
    settings.set("time", "on")
    settings.set("time", "off")
    settings.set("timeout", "3")
    settings.reset("timeout")
    assert told == ["time", "timeout", "timeout"]
    assert settings.timeout is None


def test_a_script_tells_no_times_unless_it_is_asked() -> None:
    assert [Settings(script=script).time for script in (False, True)] == [True, False]


@given(st.sampled_from(Settings().names), st.text(max_size=12) | st.integers() | st.floats() | st.booleans())
def test_any_text_is_refused_or_reads_back_as_the_same(name: str, text: str | float) -> None:
    settings = Settings()
    try:
        settings.set(name, text)
    except UsageError:
        return
    again = Settings()
    again.set(name, settings.text(name))
    assert getattr(again, name) == getattr(settings, name)


def test_every_choice_is_one() -> None:
    settings = Settings()
    for setting in list(settings.items()):
        for choice in setting.choices:
            settings.set(setting.name, choice)
            assert settings.text(setting.name) == choice


def test_settings_cost_no_imports() -> None:
    code = (
        "import rpcshell.client.errors, sys; before = set(sys.modules); import rpcshell.view.settings; "
        "print(*set(sys.modules) - before)"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert sorted(shown.split()) == [
        "rpcshell.line",
        "rpcshell.line.near_names",
        "rpcshell.view",
        "rpcshell.view.settings",
    ]
