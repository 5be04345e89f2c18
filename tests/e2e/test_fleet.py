"""What a person sees of a fleet: who is there, who answered, and who has gone."""

from __future__ import annotations

import re
import signal
from pathlib import Path

from tests.e2e.shells import leave
from tests.e2e.terminal import ENTER, SHELL, Terminal
from tests.servers import PATIENCE, all_gone, needs_server, running, watched
from tests.zookeeper import Serverset

pytestmark = needs_server

PROMPT = "zk://…/calc"


def test_instances_are_counted_called_and_listed_as_they_come_and_go(tmp_path: Path, serverset: Serverset) -> None:
    options = ("-w", "1", "-m", "async", "--register", serverset.url)
    with running(*options, folder=tmp_path, bind=("127.0.0.2:0",)) as first:
        (one,) = first.addresses
        serverset.wait_for_addresses(one)
        with Terminal(tmp_path, (*SHELL, serverset.url), columns=100) as terminal:
            terminal.wait_for(rf"^{PROMPT} 1> $")
            terminal.mark()
            with running(*options, folder=tmp_path, bind=("127.0.0.3:0",)) as second:
                (two,) = second.addresses
                terminal.wait_for(rf"^{PROMPT} 2> $")
                terminal.send(f"echo 1{ENTER}")
                terminal.wait_for(
                    rf"^echo 1\n.* · ({re.escape(one)}|{re.escape(two)}) · worker 1 · pid \d+\n{PROMPT} 2> $"
                )
                terminal.send(f":each pid{ENTER}")
                terminal.wait_for(rf"^2 different answers of 2 instances\n{PROMPT} 2> $")
                terminal.send(f":servers{ENTER}")
                terminal.wait_for(rf"^{re.escape(one)} +ready .*\n{re.escape(two)} +ready ")
                terminal.wait_for(rf"^{PROMPT}: 2 instances, 2 ready\n")
                terminal.send(f":top{ENTER}")
                terminal.wait_for(rf"^{re.escape(one)} +ready +1 async .*\n{re.escape(two)} +ready +1 async ")
                terminal.send(f"G{ENTER}")
                terminal.wait_for(rf"^{re.escape(two)}\n.*\nof this shell: \d+ calls?, 0 failed, ")
                terminal.send("qq")
                terminal.wait_for(rf"^{PROMPT} 2> $")
                terminal.wait_until_keys()
                terminal.mark()
                second.signal(signal.SIGTERM)
                terminal.wait_for(rf"^{PROMPT} 1> $")
            with watched(first.workers()) as workers:
                first.signal(signal.SIGKILL)
                assert all_gone(workers, PATIENCE)
            terminal.send(f"echo 2{ENTER}")
            terminal.wait_for(rf"^{re.escape(one)} gets no calls until it works again: connection refused$")
            terminal.wait_for(rf"^{PROMPT} 0/1 \(lost\)> $")
            assert leave(terminal) == 0
