"""The running operator: watch -> queue -> reconcile (observe, desired, plan, apply, report)."""
