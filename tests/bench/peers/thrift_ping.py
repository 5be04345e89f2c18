"""Thrift's TProcessPoolServer with its binary protocol in C: `python -m tests.bench.peers.thrift_ping PORT WORKERS`."""

from __future__ import annotations

import sys
from typing import Any

from thrift.protocol.TBinaryProtocol import TBinaryProtocolAcceleratedFactory
from thrift.server.TProcessPoolServer import TProcessPoolServer
from thrift.Thrift import TMessageType, TType
from thrift.transport.TSocket import TServerSocket
from thrift.transport.TTransport import TFramedTransportFactory


class Ping:
    """The arguments of the call, read by the accelerated protocol as generated code has it read."""

    thrift_spec = (None, (1, TType.I32, "a", None, None))

    def __init__(self, a: int | None = None) -> None:
        self.a = a


class Pong:
    """The result of the call."""

    thrift_spec = ((0, TType.I32, "success", None, None),)

    def __init__(self, success: int | None = None) -> None:
        self.success = success


class Processor:
    """What the Thrift compiler makes of `service Pinger { i32 ping(1: i32 a) }`, by hand."""

    def on_message_begin(self, _hook: Any) -> None:
        """Nothing is hooked in."""

    def process(self, iprot: Any, oprot: Any) -> bool:
        name, _, sequence = iprot.readMessageBegin()
        arguments = Ping()
        iprot._fast_decode(arguments, iprot, [Ping, Ping.thrift_spec])
        iprot.readMessageEnd()
        oprot.writeMessageBegin(name, TMessageType.REPLY, sequence)
        oprot.trans.write(oprot._fast_encode(Pong(arguments.a), [Pong, Pong.thrift_spec]))
        oprot.writeMessageEnd()
        oprot.trans.flush()
        return True


def main() -> None:
    server = TProcessPoolServer(
        Processor(),
        TServerSocket("127.0.0.1", int(sys.argv[1])),
        TFramedTransportFactory(),
        TBinaryProtocolAcceleratedFactory(),
    )
    server.setNumWorkers(int(sys.argv[2]))
    server.serve()


if __name__ == "__main__":
    main()
