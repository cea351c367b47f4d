"""LLMDeployment + settings -> the Kubernetes objects it owns, as plain dicts shaped like the YAML. Pure."""
