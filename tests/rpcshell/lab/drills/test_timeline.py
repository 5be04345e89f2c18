"""The timeline of a drill as people see it."""

from rpcshell.lab.drills.timeline import Timeline


def test_what_is_good_and_what_is_bad_is_told_apart_and_no_name_for_programs_is_shown() -> None:
    shown: list[tuple[str, str]] = []
    timeline = Timeline(lambda line, style: shown.append((line, style)))
    timeline.add("died", "it died", at=timeline.began)
    timeline.add("forked", "another", at=timeline.began + 0.1)
    timeline.add("ready", "it serves", at=timeline.began + 0.2)
    for number in range(20):
        timeline.add("some_sample", f"look {number}", at=timeline.began + 1 + number)
    timeline.flush()
    assert [style for _, style in shown[:3]] == ["class:bad", "", "class:good"]
    assert len(shown) < 20
    assert shown[-1][0].lstrip().startswith("…")
    assert not any("_sample" in line for line, _ in shown)
