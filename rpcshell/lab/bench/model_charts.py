"""The charts of a page that hold several runs beside each other, such as one for each worker model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rpcshell.lab.bench.scales import even_marks, log_marks
from rpcshell.lab.bench.svg import Frame, Mark, chart, log_place, text, x_axis
from rpcshell.view.histogram import Histogram
from rpcshell.view.units import latency, per_second, round_latency, round_rate
from rpcshell.view.width import cut

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rpcshell.lab.bench.rounds import Contestant

__all__ = ["quickness_chart", "speed_chart"]

_ROW: Final = 40
_AROUND: Final = 60
_DOTS: Final = ((50.0, "p50"), (99.0, "p99"), (99.9, "p99.9"))
_LONGEST_NAME: Final = 12
_CHARACTER: Final = 8


def speed_chart(name: str, contestants: Sequence[Contestant]) -> str:
    """Calls a second of each, with how far its rounds, or parts of its only one, are apart.

    Args:
        name: What its parts are called in the page.
        contestants: Who stands side by side.
    """
    most = max(max([one.whole.rate, *one.rates]) for one in contestants)
    marks = even_marks(most, 5)

    def draw(frame: Frame) -> str:
        frame = _beside_names(frame, contestants)
        across = [Mark(mark / marks[-1], round_rate(mark)) for mark in marks]
        shapes = [x_axis(frame, across[:: 2 if frame.narrow else 1], "calls/s")]
        for place, one in enumerate(contestants):
            middle = _row(frame, place, len(contestants))
            end = frame.x(one.whole.rate / marks[-1])
            shapes.append(_label(frame, middle, one))
            shapes.append(
                f'<rect class="bar" x="{frame.x(0)}" y="{middle - 9:.1f}" width="{end - frame.x(0):.1f}" height="18"/>'
            )
            inside = end > frame.x(0.5)
            if one.rates:
                low, high = (frame.x(value / marks[-1]) for value in (min(one.rates), max(one.rates)))
                ends = f"M{low} {middle - 4:.1f}v8M{high} {middle - 4:.1f}v8"
                shapes.append(f'<path class="spread" d="M{low} {middle:.1f}H{high}{ends}"/>')
                inside = inside and low > frame.x(0.3)
            told = per_second(one.whole.rate)
            if inside:
                shapes.append(text(frame.x(0) + 8, middle + 4, told, "inside"))
            else:
                edge = max([end, *([frame.x(max(one.rates) / marks[-1])] if one.rates else [])])
                shapes.append(text(edge + 6, middle + 4, told, "value"))
        return "".join(shapes)

    part = "round" if contestants[0].rounds > 1 else "part"
    told = ", ".join(f"{one.name} {per_second(one.whole.rate)}" for one in contestants)
    return chart(
        name,
        "Calls a second, side by side",
        f"{told}. A thin line on each bar spans what was measured between the slowest and the fastest {part} of it.",
        draw,
        _AROUND + _ROW * len(contestants),
    )


def quickness_chart(name: str, contestants: Sequence[Contestant]) -> str:
    """Median, 99th and 99.9th percentile of each on one axis.

    Args:
        name: What its parts are called in the page.
        contestants: Who stands side by side, each with at least one reply.
    """
    found = [[Histogram(one.whole.latency).percentile(percent) for percent, _ in _DOTS] for one in contestants]
    low, high = min(values[0] for values in found) / 1.4, max(values[-1] for values in found) * 1.4

    def draw(frame: Frame) -> str:
        frame = _beside_names(frame, contestants)
        marks = log_marks(low, high, 4 if frame.narrow else 8)
        shapes = [x_axis(frame, [Mark(log_place(mark, low, high), round_latency(mark)) for mark in marks])]
        for place, (one, values) in enumerate(zip(contestants, found, strict=True)):
            middle = _row(frame, place, len(contestants))
            at = [frame.x(log_place(value, low, high)) for value in values]
            shapes.append(_label(frame, middle, one))
            shapes.append(f'<path class="span" d="M{at[0]} {middle:.1f}H{at[-1]}"/>')
            for number, x in enumerate(at):
                shapes.append(f'<circle class="dot dot{number}" cx="{x}" cy="{middle:.1f}" r="5.5"/>')
        for number, (_, label) in enumerate(_DOTS):
            x = frame.x(0) + number * 64
            shapes.append(f'<circle class="dot dot{number}" cx="{x + 6:.1f}" cy="9" r="5.5"/>')
            shapes.append(text(x + 17, 13, label, "key"))
        return "".join(shapes)

    told = "; ".join(
        f"{one.name}: {', '.join(f'{label} {latency(value)}' for (_, label), value in zip(_DOTS, values, strict=True))}"
        for one, values in zip(contestants, found, strict=True)
    )
    return chart(
        name,
        "Latency, side by side",
        f"On a logarithmic axis. {told}.",
        draw,
        _AROUND + _ROW * len(contestants),
    )


def _beside_names(frame: Frame, contestants: Sequence[Contestant]) -> Frame:
    longest = max(len(_name(one)) for one in contestants)
    return frame._replace(left=14 + longest * _CHARACTER, right=22)


def _name(one: Contestant) -> str:
    return cut(one.name, _LONGEST_NAME)


def _row(frame: Frame, place: int, count: int) -> float:
    return frame.y(1) + (place + 0.5) * frame.rows / count


def _label(frame: Frame, middle: float, one: Contestant) -> str:
    return text(frame.x(0) - 9, middle + 4, _name(one), "key", anchor="end")
