"""How a container ended -> reason, sentence and remedy. Pure.

`kube.stages` asks here. The texts are the engine's own (`memory`, `storage`, `model`, `launch`, `machine`), tried
on what the container left behind: its termination message, or the end of its log. vLLM buries the cause: the process
that fails tells it first, and the server's own traceback, which says nothing, comes last. So the last known text before
that wrapper wins, and what merely follows from another failure counts only where nothing else is known.
"""

from llmfleet.engine.failures import launch, machine, memory, model, storage
from llmfleet.engine.failures.codes import by_code
from llmfleet.engine.failures.rules import Failure, Kind, Rule
from llmfleet.engine.failures.text import before_wrapper, clean, last_words

__all__ = ["Failure", "Kind", "explain"]

RULES: tuple[Rule, ...] = (*memory.RULES, *storage.RULES, *model.RULES, *launch.RULES, *machine.RULES)
"""Texts that name a cause."""
WEAK_RULES: tuple[Rule, ...] = machine.WEAK_RULES
"""Texts that other failures drag along."""

OOM_KILLED = "OOMKilled"


def explain(exit_code: int, termination_reason: str, log_tail: str) -> Failure:
    """Why a container ended.

    Args:
        exit_code: of the container's first process.
        termination_reason: the runtime's word (`OOMKilled`, `Error`, `Completed`, `StartError`).
        log_tail: termination message or last lines of the log; tenants have a say in it, so it is bounded and masked.

    Returns:
        Never nothing: a text that is not known is quoted.
    """
    text = clean(log_tail)
    if termination_reason == OOM_KILLED:  # whatever the engine said, this is why it ended
        return by_code(137, OOM_KILLED, "")
    for rules in (RULES, WEAK_RULES):
        for part in (before_wrapper(text), text):
            if failure := _last(rules, part):
                return failure
    return by_code(exit_code, termination_reason, last_words(text))


def _last(rules: tuple[Rule, ...], text: str) -> Failure | None:
    """What the rule that matches last in the text says; of several at one place the earlier in the table."""
    best: tuple[int, Failure] | None = None
    for rule in rules:
        found = rule.last(text)
        if found is not None and (best is None or found.start() > best[0]):
            best = found.start(), rule.failure(found)
    return best[1] if best else None
