"""Make sim_engine/flags.json, the table of every flag `vllm serve` takes, from the flag lines of its own help.

    python generate_flags.py < tests/unit/data/vllm-0.32.0-serve-flags.txt > images/sim-engine/sim_engine/flags.json

The input is the lines of `vllm serve --help=all` that name flags, without their prose.
"""

import json
import re
import sys

ONE_OF = re.compile(r"\{([^}]*)\}")


def entry(line: str) -> dict[str, object]:
    """One flag's names and how it takes values: switch, pair (--x and --no-x), value, optional or list."""
    names = re.findall(r"(?:^|, )(--?[a-z0-9][a-z0-9-]*)", line)
    positive = [name for name in names if not (name.startswith("--no-") and "--" + name[5:] in names)]
    found: dict[str, object] = {"names": positive, "kind": kind(line, pair=len(positive) < len(names))}
    choices = ONE_OF.search(line)
    if choices and " or name registered" not in line:
        found["choices"] = choices.group(1).split(",")
    return found


def kind(line: str, *, pair: bool) -> str:
    """How the flag takes values, from the shape of its help line."""
    if pair:
        return "pair"
    if " ...]" in line:
        return "list"
    if re.search(r" \[[A-Z_]+\]$", line):
        return "optional"
    return "value" if re.search(r"^--\S+ [^-\s]", line) else "switch"


def table(text: str) -> str:
    """The whole table as JSON, one flag a line; -h is argparse's own."""
    rows = [json.dumps(entry(line)) for line in text.splitlines() if not line.startswith("-h")]
    return "[\n" + ",\n".join(rows) + "\n]\n"


if __name__ == "__main__":
    sys.stdout.write(table(sys.stdin.read()))
