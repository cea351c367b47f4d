"""How many real pages a second one core reads: our parser beside prometheus_client's.

Budget: at least 500 pages of 50 kB a second. Run: `python tests/bench/bench_metrics.py` (with operator/ on PYTHONPATH).
"""

import time
from collections.abc import Callable
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from llmfleet.engine.metrics import parse

PAGE = (Path(__file__).parents[1] / "unit" / "data" / "vllm-0.32.0-metrics-idle.txt").read_text()
SECONDS = 2.0


def pages_per_second(read: Callable[[str], object]) -> float:
    """Read the page for SECONDS and count, in CPU time, so that other load on the machine does not matter."""
    count, start = 0, time.process_time()
    while time.process_time() - start < SECONDS:
        read(PAGE)
        count += 1
    return count / (time.process_time() - start)


def main() -> None:
    """Print both figures."""
    ours = pages_per_second(parse)
    theirs = pages_per_second(lambda page: list(text_string_to_metric_families(page)))
    print(f"page: {len(PAGE) / 1000:.1f} kB, {PAGE.count(chr(10))} lines")
    print(f"llmfleet.engine.metrics     {ours:8.0f} pages/s")
    print(f"prometheus_client.parser    {theirs:8.0f} pages/s")


if __name__ == "__main__":
    main()
