"""The files of the guides for Kubernetes, systemd and Prometheus: what they say is what the program takes and does.

HAProxy's is in `test_haproxy`, and what the page on ZooKeeper says in `test_registration` and `test_rolling_deploy`.
"""

from __future__ import annotations

import configparser
import contextlib
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import yaml

from rpcserver.cli import parse
from rpcserver.system.settings import ServerSettings
from rpcwire.framings import FRAMINGS
from rpcwire.serverset import Endpoint, Instance, Member, encode_member
from tests.rpcserver.arbiter.test_health import ask, asked_at
from tests.rpcserver.ops.test_metrics_served import metrics_address
from tests.rpcserver.system.test_systemd import Manager
from tests.rpcserver.system.test_systemd import command as passing
from tests.rpcserver.test_dashboard import QUERIES
from tests.servers import PATIENCE, PROBE_APP, Client, launched, running, until
from tests.zookeeper import Serverset

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "rpcshell/guides/deploy"
SYSTEM_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/bin"


def text(name: str) -> str:
    return (DEPLOY / name).read_text()


def settings_of(arguments: list[str]) -> ServerSettings:
    """What a command line asks for."""
    invocation = parse(arguments, None)
    assert invocation is not None
    return invocation.settings


def here(arguments: list[str], folder: Path) -> list[str]:
    """A command line for this machine: its app, with free ports of the loopback, and the control socket in a folder."""
    (folder / "calc.py").write_text(PROBE_APP)
    line = re.sub(r"\b(?:0\.0\.0\.0|127\.0\.0\.1):\d+", "127.0.0.1:0", shlex.join(arguments))
    return shlex.split(re.sub(r"/\S+(?=/(?:calc\.py|\w+\.sock))|/tmp(?=/calc.sock)", str(folder), line))


@pytest.fixture(scope="module")
def kubernetes() -> dict[str, Any]:
    """The objects of the file, by their kind."""
    return {found["kind"]: found for found in yaml.safe_load_all(text("kubernetes.yaml"))}


def test_kubernetes_asks_where_the_server_answers_and_gives_it_time(kubernetes: dict[str, Any]) -> None:
    pod = kubernetes["Deployment"]["spec"]["template"]
    (container,) = pod["spec"]["containers"]
    settings = settings_of(container["command"][1:])
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    (bind,), health, metrics = settings.bind, settings.health, settings.metrics
    assert ports == {"rpc": getattr(bind, "port", 0), "health": getattr(health, "port", 0), "metrics": metrics.port}  # type: ignore[union-attr] # that is what is held
    probes = {name: container[name]["httpGet"] for name in ("startupProbe", "readinessProbe", "livenessProbe")}
    assert {probe["port"] for probe in probes.values()} == {"health"}
    waits = container["lifecycle"]["preStop"]["sleep"]["seconds"] + settings.settle + settings.drain_timeout
    assert pod["spec"]["terminationGracePeriodSeconds"] > waits
    starting = container["startupProbe"]
    assert starting["periodSeconds"] * starting["failureThreshold"] >= settings.start_timeout
    for kind in ("Service", "Deployment", "PodDisruptionBudget"):
        selector = kubernetes[kind]["spec"]["selector"]
        assert selector.get("matchLabels", selector) == pod["metadata"]["labels"]
    (port,) = kubernetes["Service"]["spec"]["ports"]
    assert (port["targetPort"], port["port"]) == ("rpc", ports["rpc"])
    assert f"dns://calc.default.svc.cluster.local:{port['port']}" in text("kubernetes.md")
    assert f"srv://_{port['name']}._tcp.calc.default" in text("kubernetes.md")
    written = [mount["mountPath"] for mount in container["volumeMounts"]]
    assert str(Path(settings.control).parent) in written


def test_the_server_of_kubernetes_answers_its_probes_and_prometheus(kubernetes: dict[str, Any], tmp_path: Path) -> None:
    (container,) = kubernetes["Deployment"]["spec"]["template"]["spec"]["containers"]
    with launched(*here(container["command"][1:], tmp_path), cwd=tmp_path) as server:
        server.wait_until_ready()
        health = asked_at(server)
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            path = container[probe]["httpGet"]["path"]
            assert b" 200 " in ask(health, f"GET {path} HTTP/1.1\r\n\r\n".encode())
        metrics = metrics_address(server)
        told = ask(metrics, b"GET /metrics HTTP/1.0\r\n\r\n").decode()
        wanted = set(re.findall(r"\brpcserver_\w+", text("prometheus.md")))
        assert wanted <= set(re.findall(r"^\w+", told, re.MULTILINE))
        server.signal(signal.SIGTERM)
        assert server.wait() == 0


def unit(name: str) -> configparser.ConfigParser:
    """A unit of systemd's; nothing in ours is said twice."""
    found = configparser.ConfigParser(interpolation=None)
    found.optionxform = str  # type: ignore[assignment, method-assign] # as configparser documents it
    found.read_string(text(name))
    return found


def test_systemd_takes_the_units(tmp_path: Path) -> None:
    if (analyze := shutil.which("systemd-analyze", path=SYSTEM_PATH)) is None:
        pytest.skip("systemd-analyze is not installed")
    program = shutil.which("true")
    for name in ("calc.socket", "calc.service"):
        (tmp_path / name).write_text(text(name).replace("/opt/calc/bin/rpcserver", str(program)))
    # Each file by itself loads what belongs to it from the same folder.
    verified = subprocess.run(
        [analyze, "verify", str(tmp_path / "calc.service")],
        env={**os.environ, "SYSTEMD_UNIT_PATH": f"{tmp_path}:"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert str(tmp_path) not in verified.stderr
    assert verified.returncode == 0, verified.stderr


@pytest.mark.thorough
def test_systemd_starts_a_server_that_serves_its_socket_and_says_so(tmp_path: Path) -> None:
    service = unit("calc.service")["Service"]
    _, *arguments = shlex.split(service["ExecStart"])
    settings = settings_of(arguments)
    assert float(service["TimeoutStopSec"]) > settings.settle + settings.drain_timeout
    assert float(service["TimeoutStartSec"]) > settings.start_timeout
    assert Path(settings.control).parent == Path("/run", service["RuntimeDirectory"])
    assert set(re.findall(r"FileDescriptorName=(\S+)", text("systemd.md"))) <= set(FRAMINGS)
    manager = Manager(str(tmp_path / "notify"))
    with contextlib.closing(manager), socket.create_server(("127.0.0.1", 0)) as listening:
        program = [sys.executable, "-P", "-m", "rpcserver", *here(arguments, tmp_path)]
        process = subprocess.Popen(
            passing(program, [listening], NOTIFY_SOCKET=manager.address),
            pass_fds=[listening.fileno()],
            stderr=subprocess.PIPE,
        )
        try:
            assert manager.told()["READY"] == "1"
            with Client(socket.create_connection(listening.getsockname(), PATIENCE)) as client:
                assert client.call("echo", [1]).result == [1]
            process.send_signal(signal.SIGTERM)
            assert manager.told()["STOPPING"] == "1"
            _, log = process.communicate(timeout=PATIENCE)
            assert process.returncode == 0, log.decode()
        finally:
            if process.poll() is None:
                process.kill()
                process.communicate(timeout=PATIENCE)


def labels_in_prometheus(endpoint: Endpoint) -> dict[str, str]:
    """What Prometheus makes of a server's node: its discovery/zookeeper/zookeeper.go takes these, of these types."""
    member = json.loads(encode_member(Member(endpoint, rpc=Instance(address=f"tcp://{endpoint}"))))
    told = member["serviceEndpoint"]
    assert [type(told["host"]), type(told["port"])] == [str, int]
    assert [type(member[name]) for name in ("additionalEndpoints", "status", "shard")] == [dict, str, int]
    host = f"[{told['host']}]" if ":" in told["host"] else told["host"]
    return {"__address__": f"{host}:{told['port']}", "__meta_serverset_endpoint_host": told["host"]}


def relabelled(labels: dict[str, str], rules: list[dict[str, Any]]) -> dict[str, str]:
    """Labels after rules that replace."""
    for rule in rules:
        value = ";".join(labels[name] for name in rule["source_labels"])
        if match := re.fullmatch(rule.get("regex", "(.*)"), value):
            replacement = re.sub(r"\$(\d)", r"\\\1", rule.get("replacement", "$1"))
            labels = {**labels, rule["target_label"]: match.expand(replacement)}
    return labels


@pytest.mark.parametrize("host", ["10.0.0.5", "::1"])
def test_prometheus_finds_the_metrics_of_who_is_registered(host: str) -> None:
    (job,) = yaml.safe_load(text("prometheus.yml"))["scrape_configs"]
    (discovery,) = job["serverset_sd_configs"]
    (registered,) = re.findall(r"--register (\S+)$", text("prometheus.md"), re.MULTILINE)
    assert registered == f"zk://{','.join(discovery['servers'])}{discovery['paths'][0]}"
    assert f'job="{job["job_name"]}"' in text("prometheus.md")
    labels = labels_in_prometheus(Endpoint(host, 8080))
    expected = {**labels, "instance": str(Endpoint(host, 8080)), "__address__": str(Endpoint(host, 9100))}
    assert relabelled(labels, job["relabel_configs"]) == expected


class Prometheus:
    """A real Prometheus, asked as Grafana asks it."""

    def __init__(self, address: str) -> None:
        self.address = address

    def answer(self, query: str) -> dict[frozenset[tuple[str, str]], float]:
        """The values of a query by their labels; none while it is not up."""
        asked = quote(query.replace("$job", "calc").replace("$__rate_interval", "1m"))
        with contextlib.suppress(ConnectionRefusedError):
            said = ask(self.address, f"GET /api/v1/query?query={asked} HTTP/1.0\r\n\r\n".encode())
            head, _, body = said.partition(b"\r\n\r\n")
            assert int(head.split()[1]) in (200, 503), (query, body)
            found = json.loads(body)["data"]["result"] if b" 200 " in head else []
            return {frozenset(one["metric"].items()): float(one["value"][1]) for one in found}
        return {}


@contextlib.contextmanager
def prometheus_of(serverset: Serverset, metrics_port: str, folder: Path) -> Iterator[Prometheus]:
    """One with the guide's configuration, but for the addresses and how often it scrapes."""
    if (program := shutil.which("prometheus", path=SYSTEM_PATH)) is None:
        pytest.skip("Prometheus is not installed: apt install prometheus")
    configuration = text("prometheus.yml").replace(":9100", f":{metrics_port}").replace("15s", "1s")
    configuration = re.sub(r"servers: .*", f'servers: ["{serverset.hosts}"]', configuration)
    (folder / "prometheus.yml").write_text(re.sub(r"paths: .*", f'paths: ["{serverset.path}"]', configuration))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = "{}:{}".format(*taken.getsockname())
    files = (f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data")
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen([program, *files, f"--web.listen-address={address}"], stderr=log)
    try:
        yield Prometheus(address)
        assert process.poll() is None, (folder / "prometheus.log").read_text()
    finally:
        process.kill()
        process.wait(PATIENCE)


@pytest.mark.thorough
def test_a_real_prometheus_scrapes_who_is_registered_and_answers_the_dashboard(
    serverset: Serverset, tmp_path: Path
) -> None:
    options = ("--metrics", "127.0.0.2:0", "-w", "1", "--preload", "--register", serverset.url)
    with running(*options, folder=tmp_path, bind=["127.0.0.2:0"]) as server:
        port = metrics_address(server).rpartition(":")[2]
        with prometheus_of(serverset, port, tmp_path) as prometheus:
            until(lambda: prometheus.answer("rpcserver_requests_total"))
            with server.connect() as client:
                client.send("die", {"number": signal.SIGKILL})
                assert client.receive() is None

            def called_and_scraped() -> bool:
                with server.connect() as client:
                    outs = [client.call(*call).out for call in (("echo", 1), ("blob", {"size": "x"}), ("absent",))]
                assert outs == ["echo", "error", "error"]
                return bool(prometheus.answer('rate(rpcserver_method_requests_total{method="(other)"}[1m]) > 0'))

            until(called_and_scraped)
            found = {query: prometheus.answer(query) for query in QUERIES}

    def answer(part: str) -> dict[str, float]:
        """Of the only query with that part: its values that are not zero, by their label."""
        (values,) = (values for query, values in found.items() if part in query)
        return {label: value for ((_, label),), value in values.items() if value}

    assert [query for query, values in found.items() if not values] == []
    assert answer("sum by (method)").keys() == {"echo", "blob", "(other)"}
    ending = answer("outcome!=")
    assert ending.keys() == {"error", "invalid_params"}
    assert sum(ending.values()) == pytest.approx(2 / 3, abs=0.2)
    assert answer("sum by (state)") == {"ready": 1}
    for part in ("rpcserver_lost_requests_total", "rpcserver_worker_deaths_total", "rpcserver_stem_pss_bytes"):
        assert answer(part).keys() == {server.addresses[0]}
