"""Who answered, and how long it took, is told of error replies as of others; in a script where that is asked for."""

from __future__ import annotations

import io

from rpcshell.app.script_output import ScriptOutput
from rpcshell.client.errors import CallError
from rpcwire import Meta


def test_an_error_reply_in_a_script_tells_who_answered_where_that_is_asked_for() -> None:
    stderr = io.StringIO()
    output = ScriptOutput(io.BytesIO(), stderr)
    error = CallError("no", code=-32000, method="m", elapsed=0.002, meta=Meta(3, 4711, 0, "sync", 1500, 1))
    output.error(error)
    assert stderr.getvalue() == "rpcshell: m: error -32000: no\n"
    output.settings.set("time", "on")
    output.settings.set("meta", "on")
    output.error(error)
    assert stderr.getvalue().splitlines()[2] == "2.0 ms · 1.50 server, 0.50 waiting · worker 3 · pid 4711"
