import re

from tests.e2e.shells import leave, spawn
from tests.e2e.terminal import CTRL_C, ENTER, Terminal
from tests.servers import needs_server

pytestmark = needs_server

APP = """
import threading
import time

from rpcserver import Context, Service

service = Service("chatty")


@service.method
def drip(lines: int, context: Context) -> None:
    def run() -> None:
        for number in range(1, lines + 1):
            context.log.warning("drip %d", number)
            time.sleep(0.045)
    threading.Thread(target=run, daemon=True).start()


@service.method
def flood(lines: int, context: Context) -> None:
    for number in range(lines):
        context.log.info("flood %d", number)
"""


def test_the_log_is_followed_above_what_is_being_typed(terminal: Terminal) -> None:
    (terminal.home / "chatty.py").write_text(APP)
    prompt = re.escape(f"{spawn(terminal, '1 chatty.py')}> ")
    terminal.send(f":logs -f -n 0{ENTER}")
    terminal.wait_for(rf"^following the log of the server with pid \d+; :logs off ends that\n{prompt}")

    terminal.send(f"drip lines=25{ENTER}")
    terminal.wait_for(rf"drip 1$\n(.*\n)*{prompt}")
    typed = "drip lines=12345"
    for at, key in enumerate(typed, 1):
        terminal.send(key)
        terminal.wait_for(f"^{prompt}{re.escape(typed[:at])}")
    terminal.wait_for(rf"^\d\d:\d\d:\d\d\.\d\d\d WARNING worker 1 \d+ drip: drip 25$\n{prompt}{typed}")
    assert terminal.all_text.count(typed) == 1
    numbers = [int(number) for number in re.findall(r"drip: drip (\d+)$", terminal.text, re.MULTILINE)]
    assert numbers == [*range(numbers[0], 26)]
    assert terminal.style_at("WARNING").fg != terminal.style_at("worker 1").fg

    terminal.send(CTRL_C)
    terminal.send(f"flood lines=5000{ENTER}")
    terminal.wait_for(r"^… [\d,]+ lines of the log left out$")
    terminal.send(f":logs off{ENTER}")
    terminal.wait_for(rf"^the log is followed no more\n{prompt}")
    terminal.mark()
    terminal.send(f":logs -n 1{ENTER}")
    terminal.wait_for(rf"flood: flood 4999\n{prompt}")
    terminal.send(f":logs -f{ENTER}")
    terminal.wait_for(rf"; :logs off ends that\n{prompt}")
    assert leave(terminal) == 0
    assert "Traceback" not in terminal.text
