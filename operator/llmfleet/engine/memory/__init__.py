"""Will it fit: weights, overhead, KV cache, and what to change if not. Pure."""
