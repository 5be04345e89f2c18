"""What an exposition says, as numbers by the names of series and their labels."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families as parse_text

Series = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def series(text: str) -> Series:
    found: Series = {}
    for family in parse_text(text):
        assert family.documentation
        for sample in family.samples:
            key = (sample.name, tuple(sorted(sample.labels.items())))
            assert key not in found
            found[key] = sample.value
    return found


def of_worker(number: int) -> tuple[tuple[str, str], ...]:
    return (("worker", str(number)),)
