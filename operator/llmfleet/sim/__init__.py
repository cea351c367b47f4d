"""A vLLM replica in simulated time: step times, KV-cache capacity, and the scheduler that joins them.

Nothing here knows a clock, a network or an event loop: time is an argument, in seconds. The fleet simulator runs these
modules as fast as it can; images/sim-engine runs the same modules in real time behind an OpenAI-compatible server.
"""
