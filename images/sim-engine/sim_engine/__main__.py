"""`python -m sim_engine serve MODEL`, the same as the `vllm` command."""

import sys

from sim_engine.main import main

if __name__ == "__main__":
    sys.exit(main())
