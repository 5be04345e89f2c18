"""The dashboard of the guides: each of its queries asks for series and labels that a server tells."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.rpcserver.ops.series import Series
from tests.rpcserver.ops.test_metrics_served import metrics_address, scraped
from tests.servers import running

GUIDES = Path(__file__).parents[2] / "rpcshell/guides/deploy"
DASHBOARD: dict[str, Any] = json.loads((GUIDES / "grafana.json").read_text())
QUERIES = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
OF_PROMETHEUS = frozenset({"job", "instance"})
"""Labels that Prometheus gives by itself."""


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Series:
    """What a server tells that has been called."""
    with running("-w", "1", "--preload", "--metrics", "127.0.0.1:0", folder=tmp_path_factory.mktemp("probe")) as server:
        address = metrics_address(server)
        with server.connect() as client:
            client.call("echo", 1)
            client.call("absent")
            return scraped(address)


@pytest.mark.parametrize("query", QUERIES)
def test_a_query_asks_for_what_is_told(query: str, told: Series) -> None:
    labels: dict[str, set[str]] = {}
    for name, pairs in told:
        labels.setdefault(name, set()).update(label for label, _ in pairs)
    names = re.findall(r"\brpcserver_\w+", query)
    assert names
    if "_pss_" in query and not Path("/proc/self/smaps_rollup").exists():
        pytest.skip("this kernel does not tell")
    known = OF_PROMETHEUS.union(*(labels[name] for name in names))
    asked = set(re.findall(r"(\w+)=~?\"|(\w+)!=", query)) | set(re.findall(r"\bby \(([^)]*)\)()", query))
    used = {label.strip() for found in asked for text in found for label in text.split(",")} - {""}
    assert used
    assert used <= known
    assert query.count("(") == query.count(")")
    if "histogram_quantile" in query:
        assert "le" in used


def test_the_outcome_that_is_left_out_is_told(told: Series) -> None:
    (left_out,) = {found for query in QUERIES for found in re.findall(r'outcome!="(\w+)"', query)}
    assert told["rpcserver_method_requests_total", (("method", "echo"), ("outcome", left_out))] == 1


def test_panels_name_what_a_series_has_and_say_what_they_show() -> None:
    for panel in DASHBOARD["panels"]:
        assert panel["title"]
        assert panel["description"]
        for target in panel["targets"]:
            legend = set(re.findall(r"{{(\w+)}}", target["legendFormat"]))
            grouped = {
                label for found in re.findall(r"\bby \(([^)]*)\)", target["expr"]) for label in found.split(", ")
            }
            assert legend <= grouped
