"""What the instances of a fleet offer, as each of them says when it is asked."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

from rpcshell.client.broadcast import Broadcast
from rpcwire import encode_value

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rpcshell.client.target import Target, TlsFiles


def digests_of(instances: Sequence[Target], tls: TlsFiles | None, *, limit: float) -> dict[Target, str]:
    """A digest of what each instance offers, of those that say it within `limit` seconds."""
    broadcast = Broadcast(instances, tls=tls, limit=limit)
    broadcast.run("rpc.discover", None)
    return {
        answer.instance: sha256(encode_value(answer.result)).hexdigest()
        for answer in broadcast.answers
        if answer.error is None
    }
