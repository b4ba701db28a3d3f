"""The gate's part of the page of figures replaces itself and nothing else."""

from bench.gate_report import GATE, Answers, Flow, GateFigures, gate_section


def figures(cut_s: float) -> GateFigures:
    return GateFigures(
        ["a machine"],
        [Answers("inspect", [0.002] * 10, [0.001] * 10, 0.0004)],
        [Flow("stdout", 1_000_000_000, 4.0, 1.25, 2.0)],
        (400.0, 1000.0),
        [cut_s] * 10,
    )


def test_rows_say_what_was_measured_and_whether_the_aims_are_met() -> None:
    part = gate_section(figures(0.02))
    assert "| inspect | 2.00 | 2.00 | 1.00 | 1.00 | 1.00 | 1.00 | 0.40 |" in part
    assert "| stdout | 500 | 250 | 800 |" in part
    assert "| at most 0.5 ms | 1.00 ms | missed |" in part
    assert "| at least 500 MB/s per core | 800 MB/s | met |" in part
    assert "| at least dockerd's 1000 per core | 400 | missed |" in part
    assert "| p99 at most 100 ms | p50 20 ms, p99 20 ms | met |" in part


def test_the_part_is_added_once_and_replaced_afterwards() -> None:
    page = GATE.put("# Benchmarks\n\nwritten by hand\n", gate_section(figures(0.02)))
    assert page.startswith("# Benchmarks\n\nwritten by hand\n\n<!-- The gate")
    again = GATE.put(f"{page}\nmore by hand\n", gate_section(figures(0.2)))
    assert again.count("# The gate") == 1
    assert "p99 200 ms | missed" in again
    assert again.endswith("\n\nmore by hand\n")
