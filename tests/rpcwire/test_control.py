"""What server and shell of different versions read of each other on the control socket."""

from __future__ import annotations

import msgspec
import pytest

from rpcwire import control
from rpcwire.control import (
    Events,
    LogPart,
    LogPosition,
    ServerEvent,
    ServerStatus,
    TotalStatus,
    WorkerStatus,
)


@pytest.mark.parametrize(
    ("told", "read"),
    [
        ({"worker": 1, "pid": 2}, WorkerStatus(1, 2)),
        (
            {"pid": 1, "model": "sync", "workers": [{"worker": 1, "pid": 2}], "totals": {}},
            ServerStatus(pid=1, model="sync", workers=[WorkerStatus(1, 2)], totals=TotalStatus()),
        ),
        (
            {"last": 3, "events": [{"number": 3, "at": 0.5, "kind": "ready"}]},
            Events(last=3, events=[ServerEvent(3, 0.5, "ready")]),
        ),
        ({"lines": ["a"], "next": {"file": "1:2", "offset": 2}}, LogPart(["a"], LogPosition("1:2", 2))),
    ],
)
def test_what_an_older_server_leaves_out_has_a_value(told: object, read: object) -> None:
    assert msgspec.convert(told, type(read)) == read


@pytest.mark.parametrize(
    ("read", "told"),
    [
        (WorkerStatus(1, 2), {"mood": "calm"}),
        (ServerStatus(pid=1, model="warp", workers=[], totals=TotalStatus(), phase="dreaming"), {"moons": [1]}),
        (ServerEvent(1, 0.5, "beamed_up"), {"by": "Scotty"}),
        (control.Signalled(1, 2, "TERM"), {"twice": True}),
    ],
)
def test_what_a_newer_server_adds_is_ignored(read: object, told: dict[str, object]) -> None:
    # So are models, phases and kinds of events that are not known here.
    assert msgspec.convert({**msgspec.to_builtins(read), **told}, type(read)) == read


def test_every_structure_is_told_whole_whatever_its_values() -> None:
    # An older shell may need what has a default here.
    assert set(msgspec.to_builtins(TotalStatus())) == set(TotalStatus.__struct_fields__)
    configs = [getattr(named, "__struct_config__", None) for named in vars(control).values()]
    assert {(config.frozen, config.omit_defaults, config.forbid_unknown_fields) for config in configs if config} == {
        (True, False, False)
    }
