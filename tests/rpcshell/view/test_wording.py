from rpcshell.client.errors import CallError, NotConnected
from rpcshell.view.wording import worded


def test_an_unknown_method_is_told_in_the_words_of_the_shell() -> None:
    error = CallError("there is no method 'x'; rpc.discover lists the methods", code=-32601, data={"suggestions": []})
    assert worded(error) == ("there is no method 'x'", ":methods lists what there is")


def test_near_names_are_hint_enough() -> None:
    error = CallError("there is no method 'ad'; did you mean add?", code=-32601, data={"suggestions": ["add"]})
    assert worded(error) == (error.message, None)


def test_servers_of_other_kinds_get_the_hint_too() -> None:
    assert worded(CallError("Method not found", code=-32601)) == ("Method not found", ":methods lists what there is")


def test_other_errors_stay_as_they_are() -> None:
    error = CallError("no; rpc.discover lists the methods", code=404)
    assert worded(error) == (error.message, None)
    assert worded(NotConnected()) == (NotConnected().message, NotConnected().hint)
