"""llmfleet: run and scale fleets of vLLM servers on Kubernetes."""

__version__ = "0.1.0"
