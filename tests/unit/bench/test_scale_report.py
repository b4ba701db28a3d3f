"""The part of the page about many containers, and how parts replace themselves."""

from bench.report import Row
from bench.scale_report import SCALE, Answered, ScaleFigures, p99_ms, scale_section


def figures(listed_ms: float) -> ScaleFigures:
    return ScaleFigures(
        ["a machine"],
        1000,
        200,
        [
            Answered("list", [0.002] * 10, [0.2] * 10, 0.0015, 0.19),
            Answered("list of his own", [0.003] * 10, [], 0.002, 0.0),
        ],
        [
            Row("list, p99", "ms", limit=25, ours=[listed_ms], theirs=[200.0]),
            Row("CPU time", "ms", ours=[1.5], theirs=[3.0]),
        ],
    )


def test_rows_say_what_was_measured_and_whether_the_aims_are_met() -> None:
    part = scale_section(figures(4.0))
    assert "1,000 containers on record, 200 of\nthem running" in part
    assert "| list | 2.00 | 2.00 | 1.50 | 200.00 | 200.00 | 190.00 |" in part
    assert "| list of his own | 3.00 | 3.00 | 2.00 |  | |  |" in part
    assert "| list, p99 | ms | 4.00 | 200 | at most 25 ms | met |" in part
    assert "| CPU time | ms | 1.50 | 3.00 |  |  |" in part
    assert "at most 25 ms | missed |" in scale_section(figures(30.0))


def test_a_part_leaves_the_others_alone() -> None:
    page = SCALE.put("# Benchmarks\n\n<!-- The gate -->\n\nby hand\n", scale_section(figures(4.0)))
    assert page.startswith("# Benchmarks\n\n<!-- The gate -->\n\nby hand\n\n<!-- Many containers")
    again = SCALE.put(f"{page}\nmore by hand\n", scale_section(figures(30.0)))
    assert again.count("# Many containers") == 1
    assert again.endswith("\n\nmore by hand\n")


def test_the_99th_percentile_is_never_beyond_what_was_seen() -> None:
    assert p99_ms([0.001, 0.002]) == 2.0
