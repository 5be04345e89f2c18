"""Both clients behind one interface, so that one test holds for both."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Protocol, Self

from rpcshell import InstanceState, connect, connect_async
from rpcshell.client.target import Target

if TYPE_CHECKING:
    from rpcshell.client.hearing import AnyHearing, FormHandler
    from rpcwire import Reply


class Face(Protocol):
    """What a test does with a client."""

    target: Target
    connected: bool
    instances: tuple[InstanceState, ...]

    def __enter__(self) -> Self: ...
    def __exit__(self, *_: object) -> None: ...
    def close(self) -> None: ...
    def call(self, method: str, params: object = None, **options: Any) -> Any: ...
    def on_form(self, handler: FormHandler | None) -> None: ...
    def hearing(self) -> AnyHearing: ...
    def exchange(self, method: str, params: object = None, **options: Any) -> Reply: ...


class Connect(Protocol):
    """Makes a client."""

    def __call__(self, target: str | tuple[str, int] | Target, **options: Any) -> Face: ...


class InLoop:
    """An asyncio client that a test without a loop can use."""

    def __init__(self, target: str | tuple[str, int] | Target, **options: Any) -> None:
        self._runner = asyncio.Runner()
        try:
            self._client = self._runner.run(self._connect(target, options))
        except BaseException:
            self._runner.close()
            raise
        self.target = self._client.target

    @staticmethod
    async def _connect(target: str | tuple[str, int] | Target, options: dict[str, Any]) -> Any:
        return await connect_async(target, **options)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._runner.run(self._client.close())
        self._runner.close()

    @property
    def instances(self) -> tuple[InstanceState, ...]:
        found: tuple[InstanceState, ...] = self._client.instances
        return found

    @property
    def connected(self) -> bool:
        return bool(self._client.connected)

    def close(self) -> None:
        self._runner.run(self._client.close())

    def call(self, method: str, params: object = None, **options: Any) -> Any:
        return self._runner.run(self._client.call(method, params, **options))

    def hearing(self) -> AnyHearing:
        found: AnyHearing = self._client.hearing()
        return found

    def on_form(self, handler: FormHandler | None) -> None:
        self._client.on_form(handler)

    def exchange(self, method: str, params: object = None, **options: Any) -> Any:
        return self._runner.run(self._client.exchange(method, params, **options))


FACES: tuple[Connect, ...] = (connect, InLoop)  # type: ignore[assignment]  # the faces have narrower signatures
