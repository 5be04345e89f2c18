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
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import yaml

from rpcserver.cli import parse
from rpcserver.system.settings import ServerSettings
from rpcwire.framings import FRAMINGS
from rpcwire.serverset import Endpoint, Instance, Member, encode_member
from tests.rpcserver.arbiter.test_health import ask
from tests.rpcserver.system.test_systemd import Manager
from tests.rpcserver.system.test_systemd import command as passing
from tests.rpcserver.test_dashboard import QUERIES
from tests.servers import PATIENCE, PROBE_APP, Client, Server, launched
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


def logged(server: Server, words: str) -> str:
    """The address that stands in the log behind some words."""
    return server.wait_for_log(words).partition(words)[2].split()[0].strip('"},')


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
        assert server.event() is not None, server.log()
        health = logged(server, "health is told at ")
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            path = container[probe]["httpGet"]["path"]
            assert b" 200 " in ask(health, f"GET {path} HTTP/1.1\r\n\r\n".encode())
        metrics = logged(server, "metrics are at http://").removesuffix("/metrics")
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


@pytest.mark.thorough
def test_a_real_prometheus_scrapes_who_is_registered_and_takes_the_dashboards_queries(
    serverset: Serverset, tmp_path: Path
) -> None:
    if (prometheus := shutil.which("prometheus", path=SYSTEM_PATH)) is None:
        pytest.skip("Prometheus is not installed: apt install prometheus")
    (tmp_path / "probe.py").write_text(PROBE_APP)
    options = ("--bind", "127.0.0.2:0", "--metrics", "127.0.0.2:0", "-w", "1", "--register", serverset.url)
    with (
        launched(*options, "probe.py", cwd=tmp_path) as server,
        socket.create_server(("127.0.0.1", 0)) as taken,
    ):
        port = logged(server, "metrics are at http://").removesuffix("/metrics").rpartition(":")[2]
        configuration = text("prometheus.yml").replace(":9100", f":{port}").replace("15s", "1s")
        configuration = re.sub(r"servers: .*", f'servers: ["{serverset.hosts}"]', configuration)
        configuration = re.sub(r"paths: .*", f'paths: ["{serverset.path}"]', configuration)
        (tmp_path / "prometheus.yml").write_text(configuration)
        host, own = taken.getsockname()
        taken.close()
        files = (f"--config.file={tmp_path}/prometheus.yml", f"--storage.tsdb.path={tmp_path}/data")
        with (tmp_path / "prometheus.log").open("wb") as log:
            process = subprocess.Popen([prometheus, *files, f"--web.listen-address={host}:{own}"], stderr=log)
        try:
            found = b""
            while b'"value"' not in found:
                assert process.poll() is None, (tmp_path / "prometheus.log").read_text()
                with contextlib.suppress(ConnectionRefusedError):
                    found = ask(f"{host}:{own}", b"GET /api/v1/query?query=rpcserver_requests_total HTTP/1.0\r\n\r\n")
            (member,) = serverset.members().values()
            assert f'"instance":"{member.service_endpoint}"' in found.decode()
            for query in QUERIES:
                asked = quote(query.replace("$job", "calc").replace("$__rate_interval", "1m"))
                answer = ask(f"{host}:{own}", f"GET /api/v1/query?query={asked} HTTP/1.0\r\n\r\n".encode())
                assert b'"status":"success"' in answer, query
        finally:
            process.kill()
            process.wait(PATIENCE)
