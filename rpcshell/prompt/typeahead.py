"""Keys that were pressed right after the Enter that ended a line, while the terminal still made no signals of keys."""

from prompt_toolkit.input import Input
from prompt_toolkit.input.typeahead import get_typeahead, store_typeahead
from prompt_toolkit.keys import Keys


def take_interrupt(source: Input) -> bool:
    """Take away Ctrl-C and all that was typed before it, as a terminal does that makes a signal of it (termios(3)).

    False, with all keys kept for the next line, if it was not pressed.
    """
    presses = [*get_typeahead(source), *source.read_keys()]
    end = max((place for place, press in enumerate(presses, 1) if press.key == Keys.ControlC), default=0)
    store_typeahead(source, presses[end:])
    return end > 0
