"""The end of processes that an app has left running; what else is done at the end is looked at in `workers`."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from time import monotonic
from types import SimpleNamespace
from typing import Any

from rpcserver.system import at_exit
from tests.servers import PATIENCE


def test_the_end_of_one_process_leaves_the_others_their_time() -> None:
    (first, ended), (second, going_on) = os.pipe(), os.pipe()
    processes: Any = [SimpleNamespace(sentinel=first), SimpleNamespace(sentinel=second)]
    os.close(ended)
    later = threading.Timer(0.05, os.close, (going_on,))
    later.start()
    try:
        assert at_exit._outlasting(processes, monotonic() + PATIENCE) == []
        assert at_exit._outlasting(processes, monotonic()) == processes
    finally:
        later.join()
        os.close(first)
        os.close(second)


def test_files_are_found_beside_classes_that_cannot_be_hashed(tmp_path: Path) -> None:
    class Kind(type):
        def __hash__(cls) -> int:
            raise RuntimeError("nobody asks a class of the app's for anything")

    class Odd(metaclass=Kind):
        def __init__(self) -> None:
            self.held: list[object] = [self]

    odd = [Odd(), Odd()]
    path = tmp_path / "notes"
    ending = at_exit.AtExit.__new__(at_exit.AtExit)
    ending._files = []
    with path.open("w") as file:
        file.write("said before the fork")
        ending.note_files()
        assert path.read_text() == "said before the fork"
    assert len(odd) == 2
