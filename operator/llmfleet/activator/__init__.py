"""Holds requests for objects at zero, has them woken, and streams the requests through once a replica is ready."""
