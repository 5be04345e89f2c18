"""A page about runs: one file with charts, tables and the data, which needs no network and runs no script.

Nothing a server said is markup in it: all texts are escaped, and the page's own policy lets it load and run nothing.
"""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rpcshell.lab.bench import charts, page_tables
from rpcshell.lab.bench.compare import ahead
from rpcshell.lab.bench.findings import call_text, findings, length_text, load_text, server_text, target_text
from rpcshell.lab.bench.measurement import as_json
from rpcshell.lab.bench.rounds import contestants_of
from rpcshell.version import __version__
from rpcshell.view.escape import visible
from rpcshell.view.plain import compact
from rpcshell.view.units import a_call, latency, number, per_second, share, size, unbroken

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from rpcshell.lab.bench.charts import Scale
    from rpcshell.lab.bench.findings import BenchFinding
    from rpcshell.lab.bench.measurement import Measurement
    from rpcshell.lab.bench.rounds import Contestant

_FOOTER: Final = (
    "<footer>\n<p>Latency counts from when a call was sent, or at a given rate from when it was due, to its reply; "
    "errors that were answered count too. Percentiles are exact to 1 %. All data is in this file as JSON, in the "
    f"element <code>#data</code>.</p>\n<p>Made by rpcshell {escape(__version__)}.</p>\n</footer>"
)


def html(measurements: Sequence[Measurement]) -> str:
    """A page about runs of the same call; rounds of the same model are put together."""
    runs = contestants_of(measurements)
    style = (Path(__file__).parent / "page.css").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    title = f"{runs[0].whole.plan.method}: {per_second(runs[0].whole.rate)} calls/s"
    if len(runs) > 1:
        title = f"{runs[0].whole.plan.method}: {', '.join(run.name for run in runs)}"
    return "\n".join(
        [
            '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{escape(policy)}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="color-scheme" content="light dark">',
            f"<title>{_text(title)}</title>\n<style>{style}</style>\n</head>\n<body>",
            '<a class="skip" href="#main">Skip to the figures</a>',
            *_header(runs),
            '<main id="main" tabindex="-1">',
            *_main(runs),
            "</main>",
            _FOOTER,
            f'<script type="application/json" id="data">{_data(measurements)}</script>',
            "</body>\n</html>\n",
        ]
    )


def _header(runs: Sequence[Contestant]) -> Iterator[str]:
    first = runs[0].whole
    when = datetime.fromtimestamp(first.began, UTC).strftime("%-d %B %Y, %H:%M UTC")
    about = [load_text(first.plan)]
    if len(runs) == 1:
        about += [server_text(first), target_text(first.plan), length_text(first)]
    else:
        about.append(f"{len(runs)} runs side by side")
    yield f'<header>\n<p class="kicker">Benchmark · {escape(when)}</p>\n<h1>{_text(first.plan.method)}</h1>'
    if first.plan.params is not None:
        yield f'<p class="call"><code>{escape(call_text(first.plan))}</code></p>'
    yield f'<p class="lede">{escape(" · ".join(part for part in about if part))}</p>\n</header>'


def _main(runs: Sequence[Contestant]) -> Iterator[str]:
    if len(runs) == 1:
        (only,) = runs
        yield _tiles(only.whole)
        yield _list(findings(only.whole))
        charted = _charts(only.whole, charts.scale_of([only.whole]), "run")
        yield _section("charts", "Charts", "charts", charted)
    else:
        yield _list(ahead(runs))
        yield _section("beside", "Side by side", "charts", _beside(runs))
        scale = charts.scale_of([run.whole for run in runs])
        for place, run in enumerate(runs):
            charted = _charts(run.whole, scale, f"run{place}", alone=False)
            yield _section(f"run{place}", run.name, "charts", charted)
    yield _section("figures", "Every figure", "panel", [page_tables.figures_table(runs)])
    wrong = [page_tables.errors_table(run.whole, run.name if len(runs) > 1 else "") for run in runs]
    if any(wrong):
        yield _section("errors", "Errors", "panel", wrong)


def _section(name: str, title: str, kind: str, parts: Iterable[str]) -> str:
    head = f'<section aria-labelledby="{name}">\n<h2 id="{name}">{escape(title)}</h2>'
    return "\n".join([head, f'<div class="{kind}">', *parts, "</div>\n</section>"])


def _tiles(measurement: Measurement) -> str:
    histogram, server = measurement.histogram, measurement.server
    tiles = [("calls a second", per_second(measurement.rate), "")]
    if measurement.latency:
        tiles += [(f"p{percent:g}", latency(histogram.percentile(percent)), "") for percent in (50.0, 99.0, 99.9)]
        tiles.append(("slowest", latency(histogram.largest), ""))
    if failed := measurement.failed:
        tiles.append((f"went wrong, {share(failed / measurement.attempts)}", number(failed), "wrong"))
    else:
        tiles.append(("went wrong", "0", ""))
    if server is not None:
        tiles.append(("server time a call", a_call(server.cpu, measurement.calls), ""))
        tiles += [] if server.memory is None else [("memory (PSS)", size(server.memory), "")]
    cells = "".join(
        f'<div><dt>{escape(unbroken(label))}</dt><dd class="{kind}">{escape(value)}</dd></div>'
        for label, value, kind in tiles
    )
    return f'<dl class="tiles" aria-label="Figures at a glance">{cells}</dl>'


def _list(found: Sequence[BenchFinding]) -> str:
    items = "".join(
        f'<li class="{"serious" if finding.serious else ""}">{escape(unbroken(finding.text))}</li>' for finding in found
    )
    return f'<ul class="findings" aria-label="What to know">{items}</ul>' if items else ""


def _beside(runs: Sequence[Contestant]) -> Iterator[str]:
    yield _figure(
        "Calls a second",
        "A thin line goes from the slowest round, or part of the only one, to the fastest.",
        charts.speed_chart("speed", runs),
    )
    answered = [run for run in runs if run.whole.calls]
    if answered:
        yield _figure("Latency", "On a logarithmic axis.", charts.quickness_chart("quickness", answered))
        yield _figure(
            "Latency by percentile",
            "How long the slowest calls took.",
            charts.percentile_chart("percentiles", [(run.name, run.whole) for run in answered]),
            page_tables.percentile_table(answered),
        )


def _charts(measurement: Measurement, scale: Scale, name: str, *, alone: bool = True) -> Iterator[str]:
    if measurement.latency:
        yield _figure(
            "Latency distribution",
            "The share of the calls by how long they took, on a logarithmic axis.",
            charts.latency_chart(f"{name}-latency", measurement, scale),
            page_tables.latency_table(measurement),
        )
        if alone:
            yield _figure(
                "Latency by percentile",
                "How long the slowest calls took: each step to the right leaves a tenth of them.",
                charts.percentile_chart(f"{name}-percentiles", [(name, measurement)]),
                page_tables.percentile_table(contestants_of([measurement])),
            )
    if charts.has_timeline(measurement):
        numbers = page_tables.time_table(measurement)
        rate = charts.rate_chart(f"{name}-rate", measurement, scale)
        yield _figure("Rate over time", "Calls that were answered.", rate, numbers)
        yield _figure(
            "Latency over time",
            "Median and 99th percentile, on a logarithmic axis.",
            charts.slowness_chart(f"{name}-slowness", measurement, scale),
            numbers,
        )
    if sum(measurement.calls_by_worker().values()):
        yield _figure(
            "Share per worker",
            "The dashed line is the fair share.",
            charts.workers_chart(f"{name}-workers", measurement),
            page_tables.workers_table(measurement),
        )
    yield page_tables.instances_table(measurement)


def _figure(title: str, about: str, drawing: str, numbers: str = "") -> str:
    details = f"<details><summary>The numbers</summary>{numbers}</details>" if numbers else ""
    caption = f"<figcaption><h3>{escape(title)}</h3><p>{escape(about)}</p></figcaption>"
    return f"<figure>\n{caption}\n{drawing}\n{details}</figure>"


def _data(measurements: Sequence[Measurement]) -> str:
    """The data as JSON in which nothing ends the element that it is in."""
    data = compact([as_json(measurement) for measurement in measurements])
    return data.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _text(value: str) -> str:
    return escape(visible(value))
