"""Clients that say nothing, or next to nothing, keep others out for a short while only, in every model."""

from __future__ import annotations

import contextlib
import shutil
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from rpcwire import Reply
from tests.models import of_each_kind
from tests.rpcserver.tls_serving import make_certificates, place
from tests.servers import PATIENCE, Client, Server, running, until

WITHOUT_LIMITS = ("--idle-timeout", "0", "--read-timeout", "0", "--write-timeout", "0")


PLACES = ("--max-connections", "2", "--max-children", "2", "--reclaim-idle", "0.2", "--drain-grace", "0.1")
LONG_PROXY = b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\xff\xff"
"""The beginning of a PROXY header, version 2, of 64 KiB."""


def says_nothing(server: Server) -> Client:
    return server.connect()


def has_called_once(server: Server) -> Client:
    client = server.connect()
    client.send("echo", 1)
    return client


def begins_a_request(server: Server) -> Client:
    client = server.connect()
    client.socket.sendall(struct.pack("<I", 1000)[:1])
    return client


def takes_no_reply(server: Server) -> Client:
    client = server.connect()
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.send("blob", [20_000_000])
    return client


@pytest.mark.samples(2)
@of_each_kind
@pytest.mark.parametrize("kind", [says_nothing, has_called_once, begins_a_request, takes_no_reply])
def test_others_are_served_soon_though_every_place_is_held(
    model: str, kind: Callable[[Server], Client], tmp_path: Path
) -> None:
    with running("-m", model, "-w", "1", *WITHOUT_LIMITS, *PLACES, folder=tmp_path) as server:
        holders = [kind(server) for _ in range(1 if model == "sync" else 2)]
        others_are_served(server)
        for holder in holders:
            holder.close()


@pytest.mark.samples(1)
@of_each_kind
def test_others_are_served_soon_though_every_place_waits_for_a_proxys_header(model: str, tmp_path: Path) -> None:
    options = (*WITHOUT_LIMITS, *PLACES, "--proxy-protocol", "127.0.0.0/8")
    with running("-m", model, "-w", "1", *options, folder=tmp_path) as server:
        holders = [server.connect() for _ in range(1 if model == "sync" else 2)]
        over = threading.Event()

        def drip() -> None:
            for holder in holders:
                holder.socket.sendall(LONG_PROXY)
            while not over.wait(0.02):
                for holder in holders:
                    with contextlib.suppress(OSError):
                        holder.socket.sendall(b"x")

        dripping = threading.Thread(target=drip)
        dripping.start()
        try:
            others_are_served(server, b"PROXY UNKNOWN\r\n")
        finally:
            over.set()
            dripping.join()
        for holder in holders:
            holder.close()


@pytest.mark.samples(2)
@of_each_kind
def test_who_is_never_idle_gives_way_and_loses_nothing(model: str, tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    options = ("-m", model, "-w", "1", "--max-connections", "1", "--max-children", "1", "--reclaim-idle", "0.2")
    with running(*options, folder=tmp_path) as server:
        over = threading.Event()
        with ThreadPoolExecutor() as pool:
            replies = pool.submit(call_again_and_again, server, marks, over)
            try:
                until(marks.exists)
                for _ in range(2):
                    others_are_served(server)
            finally:
                over.set()
            answered = replies.result()
        assert marks.stat().st_size == answered


def test_a_client_that_heeds_no_end_keeps_nobody_from_the_place_of_one_that_does(tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    with running("-m", "sync", "-w", "2", "--reclaim-idle", "0.2", folder=tmp_path) as server:
        over = threading.Event()
        with ThreadPoolExecutor() as pool, server.connect() as deaf:
            assert deaf.call("echo", 1).result == 1

            def insist() -> None:
                # Where the machine leaves it no time, it is idle, and ended.
                with contextlib.suppress(OSError):
                    while not over.wait(0.01):
                        deaf.send("echo", 1)
                        if deaf.receive() is None:
                            break

            insisting = pool.submit(insist)
            replies = pool.submit(call_again_and_again, server, marks, over)
            try:
                until(marks.exists)
                others_are_served(server)
            finally:
                over.set()
            insisting.result()
            assert replies.result()


def call_again_and_again(server: Server, marks: Path, over: threading.Event) -> int:
    """Call over one connection until the server ends it by `close`, and then over another; return how often."""
    replies = 0
    while not over.is_set():
        with server.connect() as client:
            going_on = True
            while going_on and not over.wait(0.01):
                client.send("count", [str(marks)], close=True)
                received = client.receive()
                # Not the bare end of the stream, which proves nothing.
                assert received is not None
                going_on = isinstance(received, Reply) and not received.close
                # Model fork says busy where no process has ended yet.
                replies += isinstance(received, Reply) and received.fault is None
    return replies


def others_are_served(server: Server, first: bytes = b"") -> None:
    deadline = time.monotonic() + PATIENCE
    served = False
    while not served:
        assert time.monotonic() < deadline, server.log()
        with server.connect() as client:
            client.socket.sendall(first)
            # Model fork says busy to those who come meanwhile.
            served = client.call("echo", 2).fault is None


@pytest.mark.samples(1)
@of_each_kind
def test_who_says_nothing_at_all_has_as_long_as_for_a_request(model: str, tmp_path: Path) -> None:
    options = ("-m", model, "-w", "2", "--read-timeout", "0.3")
    with running(*options, folder=tmp_path) as server, server.connect() as silent, server.connect() as other:
        assert other.call("echo", 1).result == 1
        assert silent.receive() is None
        server.wait_for_log("closed after 0.3 s of silence")
        assert other.call("echo", 2).result == 2


@pytest.mark.samples(1)
@of_each_kind
@pytest.mark.skipif(shutil.which("openssl") is None, reason="only openssl s_client sends a KeyUpdate when told to")
def test_records_that_hold_nothing_do_not_end_a_silence(model: str, tmp_path: Path) -> None:
    certificates = make_certificates(tmp_path)
    options = ("-m", model, "-w", "1", "--idle-timeout", "1", *certificates.options)
    with running(*options, folder=tmp_path) as server:
        host, port = place(server)
        command = ("openssl", "s_client", "-connect", f"{host}:{port}", "-CAfile", str(certificates.ca), "-tls1_3")
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as client:
            assert client.stdin is not None
            deadline = time.monotonic() + PATIENCE
            try:
                while "of silence" not in server.log():
                    assert time.monotonic() < deadline
                    client.stdin.write(b"k\n")
                    client.stdin.flush()
                    try:
                        client.wait(0.1)
                    except subprocess.TimeoutExpired:
                        continue
                    server.wait_for_log("of silence")
            finally:
                client.kill()
