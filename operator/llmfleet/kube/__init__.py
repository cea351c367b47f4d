"""The cluster as any process of ours meets it: the API server, watches, and what is kept of what they tell."""
