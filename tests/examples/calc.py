"""A service: rpcserver calc.py, or :spawn 10 calc.py in the shell."""

from rpcserver import RpcError, Service

service = Service("calc", version="1.0")


@service.method
def add(a: float, b: float = 0) -> float:
    """Add two numbers."""
    return a + b


@service.method(idempotent=True)
def divide(a: float, b: float) -> float:
    """Divide a by b."""
    if b == 0:
        raise RpcError("b must not be 0", code=422)
    return a / b


@service.method(out="pong")
def ping(params):
    """Answer with the params."""
    return params
