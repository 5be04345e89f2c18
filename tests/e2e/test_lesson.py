# ruff: noqa: RUF001
# Chinese has punctuation marks of its own.

from pathlib import Path

import pytest

from rpcshell.view.width import cells
from tests.e2e.shells import leave
from tests.e2e.terminal import CTRL_C, CTRL_D, ENTER, Terminal, servers_of
from tests.servers import needs_server

pytestmark = needs_server


def test_the_lesson_is_walked_through_and_left_at_any_moment(terminal: Terminal) -> None:
    terminal.send(f":lesson{ENTER}")
    terminal.wait_for(r"^── 1/10 · One worker, two clients ─+$")
    terminal.wait_for(r"^        workers  \[▪\]  ▪ 1 held\n        queue    ▮▯▯▯▯▯▯▯ 1/8$")
    terminal.wait_for(r"^Enter: 2 Ten workers compete in accept · b back · 1-9, 0 jump · q leaves$")
    terminal.wait_for(r"^=> client 2 waited \d.* s for a call that took the worker ")
    assert terminal.style_at("=> client 2").bold
    assert terminal.style_at(":spawn 1").fg != "default"
    assert servers_of(terminal.home) == set()

    terminal.send("4")
    terminal.wait_for(r"^── 4/10 · Threads cure it ─+$")
    terminal.wait_for(r"^Enter: 5 ")
    terminal.mark()
    terminal.send("b")
    terminal.wait_for(r"^── 3/10 · ")
    terminal.wait_for(r"^ *queue    ▮▯▯▯▯▯▯▯ 1/8$")
    # In the middle of a step: ten workers, and a client that waits.
    assert len(servers_of(terminal.home)) == 11
    terminal.send(CTRL_C)
    terminal.wait_for(r"^the lesson was left; :lesson 3 goes on\nrpcshell> ")
    assert servers_of(terminal.home) == set()
    assert leave(terminal) == 0


@pytest.mark.thorough
def test_it_speaks_chinese_on_a_narrow_screen(tmp_path: Path) -> None:
    with Terminal(tmp_path, environment={"LANG": "zh_CN.UTF-8"}, columns=60) as terminal:
        terminal.wait_for(r"^rpcshell> ")
        terminal.send(f":lesson 4{ENTER}")
        heading = terminal.wait_for(r"^── 4/10 · 换成多线程就好了 ─+$")
        assert cells(heading[0]) == 60
        terminal.wait_for(r"^        进程  \[11\]  11 个连接\n        队列  ▯▯▯▯▯▯▯▯ 0/1024$")
        terminal.wait_for(r"^=> 一个进程应付 11 个客户端，谁也不用等，代价是多了 \d+ 个线\n   程$")
        terminal.wait_for(r"^回车：5 线程池，以及它的陷阱 · b 上一步 · 1-9、0 跳转 · q")
        terminal.send(ENTER)
        terminal.wait_for(r"^── 5/10 · ")
        terminal.wait_for(r"^回车：6 ")
        terminal.send(CTRL_D)
        terminal.wait_for(r"^课程到此中断；:lesson 5 可以接着看\nrpcshell> ")
        assert leave(terminal) == 0
