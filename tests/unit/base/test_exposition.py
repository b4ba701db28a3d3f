"""The page of figures, read by Prometheus's own parser."""

from prometheus_client.parser import text_string_to_metric_families

from tidegate.base.exposition import SECONDS, Family, Sample, Spread, gauge, render


def test_what_is_written_is_what_is_read() -> None:
    nasty = 'a "quoted" \\ name\nwith a line'
    page = render([
        gauge("up", "Is it\nup?", 1, {"who": nasty}),
        Family("seen_total", "counter", "Seen.", [Sample({}, 7), Sample({"by": "x"}, 0.25)]),
        Family("unseen_total", "counter", "Never.", []),
    ]).decode()  # fmt: skip
    up, seen = text_string_to_metric_families(page)
    assert (up.name, up.type, up.documentation) == ("up", "gauge", "Is it\nup?")
    assert [(sample.labels, sample.value) for sample in up.samples] == [({"who": nasty}, 1.0)]
    assert [(sample.labels, sample.value) for sample in seen.samples] == [({}, 7.0), ({"by": "x"}, 0.25)]


def test_buckets_are_cumulative() -> None:
    spread, other = Spread(), Spread()
    for seconds in (0.001, 0.0011, 3.0):
        spread.add(seconds)
    other.add(1000.0)
    spread.merge(other)
    page = render([Family("took_seconds", "histogram", "Took.", list(spread.samples({"op": "x"})))]).decode()
    (family,) = text_string_to_metric_families(page)
    buckets = {sample.labels["le"]: sample.value for sample in family.samples if sample.name.endswith("_bucket")}
    assert list(buckets) == [*(f"{bound:g}" for bound in SECONDS), "+Inf"]
    assert (buckets["0.001"], buckets["0.005"], buckets["2.5"], buckets["10"], buckets["+Inf"]) == (1, 2, 2, 3, 4)
    totals = {sample.name: sample.value for sample in family.samples if not sample.name.endswith("_bucket")}
    assert totals == {"took_seconds_sum": 1003.0021, "took_seconds_count": 4}
