"""The end of a log -> plain bounded text without prefixes and secrets, and the words worth quoting.

Everything here is linear in the length: what is read comes from containers of tenants.
"""

import re

LONGEST = 16 * 1024
"""Characters that are looked at, from the end; Kubernetes keeps 4 KiB of a termination message, 12 KiB in a pod."""
LONGEST_LINE = 2000
QUOTE = 300
"""Longest quotation."""
WRAPPER = "Engine core initialization failed"
"""What vLLM's server says when the engine's process failed; the cause stands before it (vLLM `v1/engine/utils.py`)."""

_ANSI = re.compile(r"\x1b\[[0-9;]{0,12}m")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\u2028\u2029]")
_PREFIXES = (
    re.compile(r"^\([A-Za-z][\w.\- ]{0,40} pid=\d{1,9}\) ?"),
    re.compile(r"^\[rank\d{1,4}\]: ?"),
    re.compile(r"^(?:INFO|WARNING|ERROR|CRITICAL) (?:\d\d-\d\d \d\d:\d\d:\d\d (?:\[[^\]\n]{1,80}\] ?)?)?"),
)
_SECRETS = (
    (re.compile(r"\bhf_[A-Za-z0-9]{6,}"), "hf_***"),
    (re.compile(r"\bsk-[A-Za-z0-9_\-]{6,}"), "sk-***"),
    (re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{8,}"), "AKIA***"),
    (re.compile(r"(?i)\bBearer [^\s\"',;]{1,400}"), "Bearer ***"),
    (re.compile(r"://[^\s/@:]{1,100}:[^\s/@]{1,200}@"), "://***@"),
    (
        re.compile(
            r"(?i)((?:api[_\-]?key|[_\-]token|\btoken|secret|password|signature|credential)"
            r"[\"']? ?[=:] ?[\"']?)[^\s\"',&;]{4,400}"
        ),
        r"\1***",
    ),
)
_NOISE = re.compile(r"^(?:\s|Traceback |File \"|Process |\^|~|$|During handling of|The above exception|See root cause)")
_EXCEPTION = re.compile(r"^[A-Za-z_][\w.]{0,100}(?:Error|Exception|Exit|Interrupt|Warning)\b(?::|$)")
_AFTERMATH = ("destroy_process_group() was not called", "resource_tracker:", "leaked ", WRAPPER)


def clean(text: str) -> str:
    """The end of the text, line by line without the marks of the process that wrote it, and without secrets."""
    end = _CONTROL.sub("", _ANSI.sub("", text[-LONGEST:].replace("\r", "\n")))
    return "\n".join(_without_secrets(_without_prefix(line[:LONGEST_LINE])) for line in end.split("\n"))


def before_wrapper(text: str) -> str:
    """What comes before the wrapper's line, if there is one."""
    at = text.rfind(WRAPPER)
    return text if at < 0 else text[:at]


def last_words(text: str) -> str:
    """The last line that may tell a cause: the last exception's, else the last that is not a frame of a traceback."""
    lines = [line for line in text.split("\n") if not any(word in line for word in _AFTERMATH)]
    for line in reversed(lines):
        if _EXCEPTION.match(line):
            return line[:QUOTE]
    if WRAPPER in text:  # the cause came before what was kept
        return ""
    return next((line.strip()[:QUOTE] for line in reversed(lines) if not _NOISE.match(line)), "")


def _without_prefix(line: str) -> str:
    for prefix in _PREFIXES:
        line = prefix.sub("", line, count=1)
    return line


def _without_secrets(line: str) -> str:
    for secret, mask in _SECRETS:
        line = secret.sub(mask, line)
    return line
