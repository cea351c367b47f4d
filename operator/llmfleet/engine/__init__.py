"""All knowledge of vLLM; pure."""
