"""What options of gunicorn's and uvicorn's are called here, for those who type them from habit."""

from __future__ import annotations

from typing import Final

_MODELS: Final = "thread for gthread and gevent, async for uvicorn's workers"

HERE: Final = {
    "--access-logfile": "--access-log, which writes to the log",
    "--ca-certs": "--tls-client-ca",
    "--certfile": "--tls-cert",
    "--check-config": "--check",
    "--error-logfile": "--log-file",
    "--forwarded-allow-ips": "--proxy-protocol",
    "--graceful-timeout": "--drain-timeout",
    "--host": "--bind HOST:PORT",
    "--keep-alive": "--idle-timeout",
    "--keyfile": "--tls-key",
    "--limit-concurrency": "--max-connections",
    "--limit-max-requests": "--max-requests",
    "--port": "--bind HOST:PORT",
    "--ssl-ca-certs": "--tls-client-ca",
    "--ssl-certfile": "--tls-cert",
    "--ssl-keyfile": "--tls-key",
    "--statsd-host": "--metrics, for Prometheus",
    "--timeout-graceful-shutdown": "--drain-timeout",
    "--timeout-keep-alive": "--idle-timeout",
    "--uds": "--bind unix:PATH",
    "--umask": "--unix-mode",
    "--worker-class": f"--model, {_MODELS}",
    "--worker-connections": "--max-connections",
    "-k": f"--model, {_MODELS}",
    "-t": "--timeout",
}
"""The option that does it, by the name elsewhere."""

_FOREGROUND: Final = (
    "it stays in the foreground: let systemd run it (rpcshell --man systemd), or write & behind the command"
)
_PID: Final = "its log says the pid as it starts: let systemd keep it (rpcshell --man systemd), or take $! of the shell"
_USER: Final = "it runs as who starts it: sudo -u USER, or User= of systemd"

OTHERWISE: Final = {
    "--chdir": "it runs where it is started: cd there, or give the app's whole path",
    "--daemon": _FOREGROUND,
    "--env": "write it before the command, as NAME=VALUE rpcserver",
    "--group": _USER,
    "--pid": _PID,
    "--user": _USER,
    "-D": _FOREGROUND,
    "-e": "write it before the command, as NAME=VALUE rpcserver",
    "-g": _USER,
    "-p": _PID,
    "-u": _USER,
}
"""What is done without an option."""


def advice_on(option: str) -> str | None:
    """What to do instead of writing an option that is another server's; None of one that is not known."""
    if option in HERE:
        return f"here it is {HERE[option]}"
    return OTHERWISE.get(option)
