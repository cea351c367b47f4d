"""Replicas follow the load: scrape, signals, policy, and the loop that runs them for all objects."""
