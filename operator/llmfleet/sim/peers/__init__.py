"""Other autoscalers' rules as they are shipped, to be measured against.

Each module is one project's rule: its formula, windows, period and limits, restated in our words from the source that
its docstring names. `catalogue.py` lists them.
"""
