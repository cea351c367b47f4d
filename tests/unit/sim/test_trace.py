"""Traces: what is read from files and drawn from statistics, what is refused, and how they are cut and scaled."""

import gzip
import json
from itertools import pairwise
from pathlib import Path
from statistics import fmean, pvariance

import pytest

from llmfleet.sim.trace import REPEATED_WITHIN, Trace
from llmfleet.sim.trace_files import TraceError, read
from llmfleet.sim.trace_made import RateBin, Window, from_rates, from_windows, interpolated, poisson, quantiles
from llmfleet.sim.trace_statistics import PERCENTILES, read_statistics

CSV = "arrival_s,input_tokens,output_tokens\n0.5,100,20\n1.25,3000,1\n"
ONE = interpolated([0, 100], [100, 100], [10, 10])


def written(path: Path, text: str) -> Path:
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text)
    return path


@pytest.mark.parametrize("name", ["requests.csv", "requests.csv.gz"])
def test_requests_as_csv(name: str, tmp_path: Path) -> None:
    assert list(read(written(tmp_path / name, CSV))) == [(0.5, 100, 20), (1.25, 3000, 1)]


def test_columns_are_found_by_name_and_unix_times_begin_at_zero(tmp_path: Path) -> None:
    text = "user,output_tokens,arrival_s,input_tokens\nx,5,1700000000.5,7\ny,0,1700000002.5,8\n"
    assert list(read(written(tmp_path / "a.csv", text))) == [(0.0, 7, 5), (2.0, 8, 1)]


@pytest.mark.parametrize("name", ["requests.jsonl", "requests.jsonl.gz"])
def test_requests_with_prefixes_say_what_is_left_out(name: str, tmp_path: Path) -> None:
    """Of 1,000 + 1,024 prompt tokens the second request shares one block of 512 with the first."""
    rows = [
        {"timestamp": 0, "input_length": 1000, "output_length": 5, "hash_ids": [1, 2]},
        {"timestamp": 1500, "input_length": 1024, "output_length": 6, "hash_ids": [1, 3]},
    ]
    trace = read(written(tmp_path / name, "\n".join(json.dumps(row) for row in rows)))
    assert list(trace) == [(0.0, 1000, 5), (1.5, 1024, 6)]
    assert "up to 25% of the prompt tokens" in trace.notes[0]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.csv", "time,in,out\n1,2,3\n", "a.csv:1: the header lacks arrival_s, input_tokens, output_tokens"),
        ("a.csv", "", "a.csv:1: the header lacks"),
        ("a.csv", CSV + "2,many,3\n", "a.csv:4: 2,many,3 must be an arrival"),
        ("a.csv", CSV + "2,1\n", "a.csv:4: the line has fewer columns"),
        ("a.csv", CSV + "2,0,3\n", "a.csv:4: 0 prompt tokens"),
        ("a.csv", CSV + "2,1,-3\n", "a.csv:4: 1 prompt tokens and -3"),
        ("a.csv", CSV + "2,99999999,3\n", "a.csv:4: 99999999 prompt tokens"),
        ("a.csv", CSV + "0.1,10,3\n", "a.csv:4: arrives 1.150 s before an earlier line; sort by arrival"),
        ("a.csv", CSV + "nan,10,3\n", "a.csv:4: arrival nan"),
        ("a.csv", "arrival_s,input_tokens,output_tokens\n-1,1,1\n", "a.csv:2: arrival -1 s"),
        ("a.csv", "arrival_s,input_tokens,output_tokens\n", "a.csv: holds no request"),
        ("a.jsonl", "nothing", "a.jsonl:1: not JSON"),
        ("a.jsonl", "[]", "a.jsonl:1: must be a JSON object"),
        ("a.jsonl", '\n{"timestamp": 1}', "a.jsonl:2: a request needs the numbers timestamp"),
    ],
)
def test_a_bad_line_is_named(name: str, text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(TraceError) as error:
        read(written(tmp_path / name, text))
    assert message in str(error.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    for path in (tmp_path / "absent.csv", tmp_path / "plain.csv.gz"):
        if path.suffix == ".gz":
            path.write_text("not compressed")
        with pytest.raises(TraceError, match="cannot be read"):
            read(path)


def test_a_part_of_a_trace_begins_at_zero() -> None:
    trace = Trace.of([(3.0, 3, 3), (1.0, 1, 1), (2.0, 2, 2)], span=4.0)
    part = trace.between(1.0, 3.0)
    assert (list(part), part.span) == ([(0.0, 1, 1), (1.0, 2, 2)], 2.0)
    assert trace.between(3.5, 9.0).span == 0.5


@pytest.mark.parametrize("factor", [0.3, 1.0, 2.5])
def test_a_faster_trace_has_the_same_shape(factor: float) -> None:
    """A rate that doubles half-way still does, and every request is near one of the original's."""
    trace = poisson([(0.0, 5.0), (1000.0, 10.0)], span=2000.0, lengths=ONE, seed=3)
    scaled = trace.faster(factor, seed=4)
    assert scaled.span == trace.span
    assert list(scaled.at) == sorted(scaled.at)
    halves = len(scaled.between(0, 1000)), len(scaled.between(1000, 2000))
    assert halves == pytest.approx((5000 * factor, 10_000 * factor), rel=0.07)
    assert list(trace.faster(factor, seed=4)) == list(scaled)
    originals = set(trace.at)
    near = REPEATED_WITHIN if factor > 1 else 0.0
    for at in scaled.at[:50]:
        assert any(abs(at - one) <= near for one in originals)


def test_a_rate_cannot_be_scaled_to_nothing() -> None:
    with pytest.raises(ValueError, match="above 0"):
        Trace.of([(0.0, 1, 1)]).faster(0)


def test_lengths_follow_their_percentiles() -> None:
    table = quantiles([0, 50, 100], [1, 11, 1011])
    assert (table[0], table[5000], table[-1]) == (1, 11, 1011)
    assert fmean(table) == pytest.approx((6 + 511) / 2, rel=0.01)


def test_rates_are_followed_minute_by_minute() -> None:
    """Two bins of ten minutes at 10 and 20 a second, without scatter inside them: the counts are Poisson's."""
    bins = [RateBin(600.0 * number, 600.0, mean, mean, mean) for number, mean in enumerate((10.0, 20.0))]
    trace = from_rates(bins, ONE, seed=1)
    counts = [len(trace.between(60.0 * minute, 60.0 * minute + 60)) for minute in range(20)]
    assert fmean(counts[:10]) == pytest.approx(600, rel=0.05)
    assert fmean(counts[10:]) == pytest.approx(1200, rel=0.05)
    assert pvariance(counts[:10]) < 3 * 600
    assert from_rates(bins, ONE, mean_rate=3.0, seed=1).rate == pytest.approx(3.0, rel=0.05)


@pytest.mark.parametrize(("law", "shape", "dispersion"), [("-", 0.0, 1.0), ("G", 0.25, 4.0), ("W", 0.6, 3.1)])
def test_clients_are_as_bursty_as_their_gaps(law: str, shape: float, dispersion: float) -> None:
    """Counts over times much longer than a gap have the squared variation of the gaps as index of dispersion."""
    windows = [Window(600.0 * number, 600.0, 1, 20.0, law, shape) for number in range(20)]
    trace = from_windows(windows, lambda _: ONE, seed=2)
    counts = [len(trace.between(start, start + 20.0)) for start in range(0, 12_000, 20)]
    assert trace.rate == pytest.approx(20.0, rel=0.05)
    assert pvariance(counts) / fmean(counts) == pytest.approx(dispersion, rel=0.25)


def statistics(folder: Path) -> dict[str, Path]:
    rates = "t_s,chat_rpm,chat_rpm_min,chat_rpm_max\n0,60,50,70\n600,120,110,130\n"
    lengths = "percentile,chat_input_tokens,chat_output_tokens\n0,10,1\n100,10,1\n"
    windows = "t_s,client,rate_rps,iat_cv,iat_dist,iat_shape\n0,1,1,1,-,0\n0,2,1,2,G,0.25\n600,2,2,2,G,0.25\n"
    row = {"t_s": 0, "client": 1, "input_tokens": [7] * len(PERCENTILES), "output_tokens": [9] * len(PERCENTILES)}
    return {
        "rates": written(folder / "rates.csv", rates),
        "lengths": written(folder / "lengths.csv", lengths),
        "windows": written(folder / "windows.csv.gz", windows),
        "client lengths": written(folder / "lengths.jsonl.gz", json.dumps(row)),
    }


def test_a_service_by_its_statistics(tmp_path: Path) -> None:
    files = statistics(tmp_path)
    trace = read_statistics(files["rates"], files["lengths"], service="chat", seed=1)
    assert (trace.span, set(trace.prompt_tokens), set(trace.output_tokens)) == (1200.0, {10}, {1})
    assert trace.rate == pytest.approx(1.5, rel=0.1)
    second = read_statistics(files["rates"], files["lengths"], service="chat", start_day=600 / 86_400, seed=1)
    assert second.span == 600.0
    assert second.rate == pytest.approx(2.0, rel=0.1)


def test_a_client_without_lengths_borrows_them(tmp_path: Path) -> None:
    files = statistics(tmp_path)
    trace = read_statistics(files["windows"], files["client lengths"], mean_rate=3.0)
    assert {(prompt, output) for _, prompt, output in trace} == {(7, 9)}
    assert all(one <= other for one, other in pairwise(trace.at))
    other = read_statistics(files["windows"], files["lengths"], service="chat")
    assert {(prompt, output) for _, prompt, output in other} == {(10, 1)}


@pytest.mark.parametrize(
    ("rates", "lengths", "service", "message"),
    [
        ("rates", "lengths", "code", "rates.csv:1: no column code_rpm; the file has the services chat"),
        ("rates", "rates", "chat", "rates.csv:1: the header lacks percentile"),
        ("windows", "rates", "", "rates.csv:1: the header lacks percentile"),
        ("windows", "windows", "", "windows.csv.gz:1: the header lacks percentile"),
    ],
)
def test_statistics_of_another_kind_are_refused(
    *, rates: str, lengths: str, service: str, message: str, tmp_path: Path
) -> None:
    files = statistics(tmp_path)
    with pytest.raises(TraceError) as error:
        read_statistics(files[rates], files[lengths], service=service)
    assert message in str(error.value)


def test_a_bad_number_in_statistics_is_named(tmp_path: Path) -> None:
    files = statistics(tmp_path)
    written(files["rates"], "t_s,chat_rpm,chat_rpm_min,chat_rpm_max\n0,sixty,50,70\n")
    with pytest.raises(TraceError, match=r"rates.csv:2: chat_rpm must be a number, not 'sixty'"):
        read_statistics(files["rates"], files["lengths"], service="chat")
    written(files["client lengths"], '{"t_s": 0, "client": 1, "input_tokens": [1], "output_tokens": [1]}')
    with pytest.raises(TraceError, match=r"lengths.jsonl.gz:1: .* 1 and 1 lengths for 25 percentiles"):
        read_statistics(files["windows"], files["client lengths"])
    written(files["rates"], "t_s,chat_rpm,chat_rpm_min,chat_rpm_max\n0,60,50,70\n")
    with pytest.raises(TraceError, match="no rates above 0 in that time; see --start-day"):
        read_statistics(files["rates"], files["lengths"], service="chat", start_day=3)
