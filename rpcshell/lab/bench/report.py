"""What came of a benchmark, for a terminal: figures, bars, plots, and what is worth saying about them.

Everything is safe for a terminal, and follows its width. Styles are names, not colours.
"""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING, Final

from rpcshell.lab.bench.findings import attempts, findings, share_by_worker
from rpcshell.lab.bench.wording import call_text, examples_of, length_text, load_text, server_text, target_text
from rpcshell.view.histogram import Histogram
from rpcshell.view.units import a_call, count_of, latency, number, per_second, share, size, unbroken
from rpcshell.view.width import cells, cut, pad

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rpcshell.lab.bench.findings import Finding
    from rpcshell.lab.bench.plan import Measurement
    from rpcshell.view.pretty import Fragment

__all__ = ["PERCENTILES", "comparison", "comparison_pieces", "pieces", "text"]

PERCENTILES: Final = (50.0, 90.0, 99.0, 99.9)
"""What is told of latencies, beside the largest."""

TITLE: Final = "class:out"
FAINT: Final = "class:footer"
FIGURE: Final = "class:pygments.literal.number"
BAR: Final = "class:pygments.literal.string.double"
WRONG: Final = "class:error"
SERIOUS: Final = "class:top.high"

_LABEL: Final = 9
_LONGEST_BAR: Final = 40
_SHORTEST_BAR: Final = 8
_MOST_WORKERS: Final = 16
_SIDE_BY_SIDE: Final = 100
_BETWEEN: Final = 3
_EIGHTHS: Final = " ▏▎▍▌▋▊▉"
_NARROWEST: Final = 20


def text(measurement: Measurement, width: int) -> str:
    """The report of a run, without styles and without a newline at its end.

    Args:
        measurement: What came of it.
        width: Columns of the screen.
    """
    return "".join(piece for _, piece in pieces(measurement, width)).rstrip("\n")


def comparison(measurements: Sequence[Measurement], width: int) -> str:
    """Several runs side by side, such as one for each worker model, without styles and without a newline at the end.

    Args:
        measurements: What came of them; rounds of the same model are put together.
        width: Columns of the screen.
    """
    return "".join(piece for _, piece in comparison_pieces(measurements, width)).rstrip("\n")


def pieces(measurement: Measurement, width: int) -> Iterator[Fragment]:
    """The report of a run as styled text, which ends in a newline.

    Args:
        measurement: What came of it.
        width: Columns of the screen.
    """
    width = max(width, _NARROWEST)
    yield TITLE, cut(call_text(measurement.plan), width) + "\n"
    about = [load_text(measurement.plan), server_text(measurement), target_text(measurement.plan)]
    yield from _lines(FAINT, " · ".join(part for part in about if part), width)
    yield "", "\n"
    yield from _figures(measurement, width)
    yield from _workers(measurement, width)
    yield from _plots(measurement, width)
    yield from _told(findings(measurement), width)


def comparison_pieces(measurements: Sequence[Measurement], width: int) -> Iterator[Fragment]:
    """Several runs side by side as styled text, which ends in a newline.

    Args:
        measurements: What came of them; rounds of the same model are put together.
        width: Columns of the screen.
    """
    from rpcshell.lab.bench.compare import ahead
    from rpcshell.lab.bench.rounds import side_by_side
    from rpcshell.view.table import Figure, render_table

    width = max(width, _NARROWEST)
    contestants = side_by_side(measurements)
    wrong = any(one.whole.failed for one in contestants)
    rows = []
    for name, whole, *_ in contestants:
        histogram, server = Histogram(whole.latency), whole.server
        row: dict[str, object] = {"model": name, "calls/s": Figure(per_second(whole.rate))}
        for percent in (50.0, 99.0, 99.9):
            row[f"p{percent:g}"] = Figure(latency(histogram.percentile(percent)) if whole.calls else "-")
        row["cpu a call"] = Figure("-" if server is None else a_call(server.cpu, whole.calls))
        row["memory"] = Figure("-" if server is None or server.memory is None else size(server.memory))
        if wrong:
            row["errors"] = Figure(share(whole.failed / attempts(whole)) if whole.failed else "0")
        rows.append(row)
    for key in ("memory", "p99.9", "cpu a call", "p50", "errors", "p99"):
        if max(map(cells, "".join(piece for _, piece in render_table(rows, None)).splitlines()), default=0) <= width:
            break
        rows = [{name: value for name, value in row.items() if name != key} for row in rows]
    yield from render_table(rows, width)
    yield "", "\n"
    most = max((one.whole.rate for one in contestants), default=0.0)
    longest = max((cells(one.name) for one in contestants), default=0)
    for one in contestants:
        yield "", pad(one.name, longest) + "  "
        yield BAR, _bar(one.whole.rate / most if most else 0.0, min(_LONGEST_BAR, width - longest - 2)) + "\n"
    yield from _told(ahead(contestants), width)


def _figures(measurement: Measurement, width: int) -> Iterator[Fragment]:
    """The figures, a line of each kind."""
    rate = f"{per_second(measurement.rate)} calls/s"
    yield from _row("rate", [(FIGURE, rate), ("", length_text(measurement))], width)
    histogram = Histogram(measurement.latency)
    if measurement.calls:
        percentiles = [f"p{percent:g} {latency(histogram.percentile(percent))}" for percent in PERCENTILES]
        yield from _row("latency", [("", part) for part in [*percentiles, f"max {latency(histogram.largest)}"]], width)
    problems = examples_of(measurement)
    if problems:
        whole = f"{number(measurement.failed)} ({share(measurement.failed / attempts(measurement))})"
        yield from _row("errors", [(WRONG, whole)], width)
        for kind, count, said in problems:
            told = f"{kind} ({number(count)})" + (f": {said}" if said else "")
            yield "", " " * _LABEL + cut(told, width - _LABEL) + "\n"
    else:
        yield from _row("errors", [("", "none")], width)
    server = measurement.server
    if server is not None:
        used = [] if server.memory is None else [("", size(server.memory))]
        yield from _row("server", [*_time_of(server.cpu, measurement), *used], width)
    processes = count_of(measurement.processes, "load process", "load processes")
    yield from _row("load", [*_time_of(measurement.client_cpu, measurement), ("", processes)], width)


def _time_of(seconds: float, measurement: Measurement) -> list[Fragment]:
    """Processor time by the call and by the second."""
    cores = f"{seconds / measurement.seconds:.2f} cores" if measurement.seconds else "-"
    return [("", f"{a_call(seconds, measurement.calls)} CPU a call"), ("", cores)]


def _row(label: str, parts: Sequence[Fragment], width: int) -> Iterator[Fragment]:
    """A label and what belongs to it, on as many lines as that takes."""
    yield FAINT, label.ljust(_LABEL)
    room = width - _LABEL
    for place, (style, part) in enumerate(parts):
        part = cut(part, width - _LABEL)  # noqa: PLW2901 - only a part of it fits
        if place and cells(part) + _BETWEEN > room:
            yield "", "\n" + " " * _LABEL
            room = width - _LABEL
        elif place:
            yield "", " " * _BETWEEN
            room -= _BETWEEN
        yield style, part
        room -= cells(part)
    yield "", "\n"


def _workers(measurement: Measurement, width: int) -> Iterator[Fragment]:
    calls = share_by_worker(measurement)
    whole = sum(calls.values())
    if not whole:
        return
    yield "", "\n"
    shown = calls
    if len(calls) > _MOST_WORKERS:
        ranked = sorted(calls, key=lambda worker: -calls[worker])
        shown = {worker: calls[worker] for worker in (*ranked[: _MOST_WORKERS - 4], *ranked[-4:])}
    most = max(calls.values())
    figures = {worker: (number(count), share(count / whole)) for worker, count in shown.items()}
    widths = [max(len(cell) for cell in column) for column in zip(*figures.values(), strict=True)]
    room = min(_LONGEST_BAR, width - _LABEL - 3 - sum(widths) - 3 * 2)
    for place, (worker, (count, part)) in enumerate(figures.items()):
        if len(calls) > len(shown) and place == _MOST_WORKERS - 4:
            yield FAINT, " " * _LABEL + f"… {len(calls) - len(shown)} more\n"
        yield FAINT, "worker".ljust(_LABEL) if not place else " " * _LABEL
        told = f"{worker:>3}  {count.rjust(widths[0])}  {part.rjust(widths[1])}"
        yield "", cut(told, width - _LABEL)
        if room >= _SHORTEST_BAR:
            yield BAR, "  " + _bar(calls[worker] / most, room)
        yield "", "\n"


def _bar(part: float, width: int) -> str:
    """A bar of a part of a width, to an eighth of a column; what is not nothing is seen."""
    eighths = max(round(part * width * 8), 1 if part > 0 else 0)
    return ("█" * (eighths // 8) + _EIGHTHS[eighths % 8]).rstrip()


def _plots(measurement: Measurement, width: int) -> Iterator[Fragment]:
    from rpcshell.lab.bench.plots import NARROWEST, latency_plot, rate_plot

    if width < NARROWEST:
        return
    beside = width >= _SIDE_BY_SIDE
    each = (width - _BETWEEN) // 2 if beside else width
    plots = [
        [title, *lines]
        for title, lines in (
            ("share of the calls by latency", latency_plot(measurement, each)),
            ("calls/s over time", rate_plot(measurement, each)),
        )
        if lines
    ]
    if beside:
        plots = (
            [[pad(left, each + _BETWEEN) + right for left, right in zip_longest(*plots, fillvalue="")]]
            if (len(plots) > 1)
            else plots
        )
    for title, *lines in plots:
        yield FAINT, f"\n{title.rstrip()}\n"
        yield "", "".join(f"{line.rstrip()}\n" for line in lines)


def _told(found: Sequence[Finding], width: int) -> Iterator[Fragment]:
    """Findings as a list."""
    if found:
        yield "", "\n"
    for finding in found:
        yield from _lines(SERIOUS if finding.serious else "", finding.text, width, first="• ")


def _lines(style: str, sentence: str, width: int, first: str = "") -> Iterator[Fragment]:
    """A sentence on lines that fit, where a number stays with its unit."""
    line = first
    empty = True
    for word in unbroken(sentence).split(" "):
        word = cut(word.replace("\u00a0", " "), width - len(first))  # noqa: PLW2901 - only a part of it fits
        if not empty and cells(line) + 1 + cells(word) > width:
            yield style, line + "\n"
            line, empty = " " * len(first), True
        line += word if empty else f" {word}"
        empty = False
    yield style, line + "\n"
