"""An OpenAI-compatible server that takes vLLM's command line and behaves like it, without a GPU.

The engine is `llmfleet.sim.replica` run in real time; everything in this package is the shell around it.
"""
