"""How figures read: durations, sizes, rates, shares and counts. No other module formats them."""

import math
import re
from collections.abc import Callable, Sequence
from typing import Final

_LETTERS: Final = 26
_MINUTE: Final = 60
_HOUR: Final = 60 * _MINUTE
_DAY: Final = 24 * _HOUR

_ROUNDED: Final = 0.9995
"""Of a unit: from here on three digits round up to the next one."""

_FINE: Final = (("ns", 1e9), ("µs", 1e6), ("ms", 1e3))
_TINY: Final = 0.0001
_BEFORE_UNIT: Final = r" (?=(?:%|[nµm]?s|[kMG]?B)(?:\W|$))"


def duration(seconds: float) -> str:
    """A time in a sentence, in at most two units: `42.1 ms`, `3.0 s`, `2 min 5 s`, `2 d 7 h`."""
    if seconds < _ROUNDED:
        return f"{seconds * 1000:.3g} ms"
    if seconds < _MINUTE - 0.05:
        return f"{seconds:.1f} s"
    (larger, unit), (smaller, lesser) = _two_units(seconds)
    return f"{larger} {unit} {smaller} {lesser}"


def brief_duration(seconds: float) -> str:
    """A time in at most six columns: `43ms`, `3.2s`, `2m05s`, `2d07h`. A hundred thousand days at most."""
    if seconds < _ROUNDED:
        return f"{seconds * 1000:.0f}ms"
    if seconds < _MINUTE - 0.05:
        return f"{seconds:.1f}s"
    (larger, unit), (smaller, lesser) = _two_units(seconds)
    return f"{larger}{unit[0]}{smaller:02}{lesser[0]}" if larger < 100 else f"{larger}{unit[0]}"


def in_seconds(seconds: float, digits: int = 1) -> str:
    """A time beside others that are in seconds, however long it is: `0.3 s`, `120.0 s`."""
    return f"{seconds:.{digits}f} s"


def whole_seconds(seconds: float) -> str:
    """A time that is drawn again and again: no digit of it moves faster than one can read."""
    return in_seconds(seconds, 0) if seconds < _MINUTE - 0.5 else duration(max(seconds, _MINUTE))


def call_time(seconds: float) -> str:
    """What one call took, to the digits that mean something: `0.12 ms`, `45.6 ms`, `1.50 s`."""
    if seconds >= _MINUTE - 0.005:
        return duration(seconds)
    if seconds >= _ROUNDED:
        return f"{seconds:.2f} s"
    digits = 2 if seconds < 0.001 else 1 if seconds < 0.1 else 0
    return f"{seconds * 1000:.{digits}f} ms"


def adding_up(whole: float, parts: Sequence[float]) -> tuple[str, list[str]]:
    """A time and its parts, in one unit and rounded so that the parts add up as they are shown.

    A part that rounds to nothing is an empty text.
    """
    factor, digits, unit = (1000, 2, "ms") if whole < 0.1 else (1000, 0, "ms") if whole < _ROUNDED else (1, 2, "s")
    ticks = [part * factor * 10**digits for part in parts]
    shown = [math.floor(tick) for tick in ticks]
    lacking = round(whole * factor * 10**digits) - sum(shown)
    # The parts that lost most are rounded up, so that all add up to the whole.
    for index in sorted(range(len(ticks)), key=lambda index: shown[index] - ticks[index])[: max(lacking, 0)]:
        shown[index] += 1
    texts = [f"{amount / 10**digits:.{digits}f} {unit}" for amount in (round(whole * factor * 10**digits), *shown)]
    return texts[0], [text if amount else "" for text, amount in zip(texts[1:], shown, strict=True)]


def latency(seconds: float) -> str:
    """A measured time with three digits, from nanoseconds on: `13.0 µs`, `2.01 ms`."""
    return _in_fine_unit(seconds, _three_digits)


def round_latency(seconds: float) -> str:
    """A time at an axis, without the zeros after the point: `50 µs`, `2.5 ms`."""
    return _in_fine_unit(seconds, "{:.4g}".format)


def a_call(seconds: float, calls: int) -> str:
    """Time that was spent on calls, for each of them; a dash where there were none."""
    return latency(seconds / calls) if calls else "-"


def ago(seconds: float) -> str:
    """How long something is past: `just now`, `5 min ago`, `2 days ago`."""
    if seconds < _MINUTE:
        return "just now"
    if seconds < _HOUR:
        return f"{int(seconds // _MINUTE)} min ago"
    if seconds < _DAY:
        return f"{int(seconds // _HOUR)} h ago"
    return f"{count_of(int(seconds // _DAY), 'day')} ago"


def size(count: int) -> str:
    """A number of bytes: `999 B`, `1.23 kB`, `20 MB`."""
    if count < 1000:
        return f"{count} B"
    scale, unit = next(((s, u) for s, u in ((1e3, "kB"), (1e6, "MB")) if count < s * 1000 * _ROUNDED), (1e9, "GB"))
    return f"{count / scale:.3g} {unit}"


def size_or_dash(count: int | None) -> str:
    """A number of bytes, or `-` where it is not known."""
    return "-" if count is None else size(count)


def per_second(rate: float) -> str:
    """Calls a second with three digits, or all before the point: `9.52`, `84,285`."""
    return _three_digits(rate)


def brief_rate(rate: float | None) -> str:
    """Calls a second in at most six columns; a dash where they are not known yet."""
    if rate is None:
        return "-"
    return f"{rate:.1f}" if 0 < rate < 9.95 else brief_count(rate)


def round_rate(rate: float) -> str:
    """Calls a second at an axis: `2,500`, `80k`."""
    return f"{rate:,g}" if rate < 10_000 else f"{rate / 1000:,g}k"


def share(part: float) -> str:
    """A part of 1 in percent; what is there never reads as nothing, nor what is missing as all."""
    if 0 < part < _TINY:
        return "< 0.01 %"
    if 1 - _TINY < part < 1:
        return "> 99.99 %"
    digits = 2 if 0 < part < 0.01 or 0.99 < part < 1 else 1
    return f"{part * 100:.{digits}f} %"


def number(count: int) -> str:
    """A count, with commas between the thousands."""
    return f"{count:,}"


def brief_count(count: float) -> str:
    """A count below a million million in at most six columns: `999999`, `12.35M`."""
    if round(count) < 1e6:
        return f"{count:.0f}"
    return f"{count / 1e6:.4g}M" if round(count) < 1e9 else f"{count / 1e9:.4g}G"


def plural(count: float, thing: str, things: str | None = None) -> str:
    """The word for so many of a thing; several have an s unless their word is given."""
    return thing if count == 1 else things or f"{thing}s"


def count_of(count: int, thing: str, things: str | None = None) -> str:
    """A count and what is counted: `1 call`, `2,000 calls`."""
    return f"{number(count)} {plural(count, thing, things)}"


def letter(index: int) -> str:
    """A name for one of several things that differ: `A`, `B` and so on, after `Z` a number from 27 on."""
    return chr(ord("A") + index) if index < _LETTERS else number(index + 1)


def unbroken(sentence: str) -> str:
    """A text in which no line can end between a number and its unit."""
    return re.sub(_BEFORE_UNIT, "\u00a0", sentence)


def _two_units(seconds: float) -> tuple[tuple[int, str], tuple[int, str]]:
    whole = round(seconds)
    if whole < _HOUR:
        return (whole // _MINUTE, "min"), (whole % _MINUTE, "s")
    if whole < _DAY:
        return (whole // _HOUR, "h"), (whole % _HOUR // _MINUTE, "min")
    return (whole // _DAY, "d"), (whole % _DAY // _HOUR, "h")


def _in_fine_unit(seconds: float, text: Callable[[float], str]) -> str:
    if seconds <= 0:
        return "0"
    unit, scale = next(((unit, scale) for unit, scale in _FINE if seconds * scale < 1000 * _ROUNDED), ("s", 1.0))
    return f"{text(seconds * scale)} {unit}"


def _three_digits(value: float) -> str:
    """All there are before the point, if they are more."""
    if value < 10 * _ROUNDED:
        return f"{value:.2f}"
    return f"{value:.1f}" if value < 100 * _ROUNDED else f"{value:,.0f}"
