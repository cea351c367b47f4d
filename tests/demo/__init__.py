"""`make demo`: a real trace replayed on a real cluster, with everything shown as it happens."""
