"""Texts about where a model lies: the hub, a bucket, a claim; whether it is there, and whether one may have it.

Sources: huggingface_hub `utils/_http.py` and transformers `utils/hub.py` as vLLM 0.32.0 has them; botocore's words.
"""

from llmfleet.api.conditions import Reason
from llmfleet.engine.failures.rules import Kind, Rule, rule

_TOKEN = "spec.model.tokenSecretRef must name a Secret with a token that may read the model."  # noqa: S105 - a sentence

RULES: tuple[Rule, ...] = (
    rule(
        r"Cannot access gated repo for url (?P<url>[^\s]{1,200}?)\.?(?:\s|$)|(?:You are trying to access a|is a) gated "
        r"repo(?:sitory)?\b",
        Reason.MODEL_ACCESS_DENIED,
        "The model is gated: its terms have to be accepted, and the hub did not let this token in.",
        f"Accept the terms on the model's page; {_TOKEN}",
    ),
    rule(
        r"Invalid (?:credentials in Authorization header|user token|username or password)|"
        r"(?:401|403) (?:Client Error|Forbidden)[^\n]{0,40}Unauthorized",
        Reason.MODEL_ACCESS_DENIED,
        "The hub refuses the token.",
        _TOKEN,
    ),
    rule(
        r"403 Forbidden: (?P<why>[^\n]{1,200})",
        Reason.MODEL_ACCESS_DENIED,
        "The hub refuses access: {why}",
        _TOKEN,
    ),
    rule(
        r"NoCredentialsError|Unable to locate credentials",
        Reason.MODEL_ACCESS_DENIED,
        "The engine has no credentials for the model's bucket.",
        "Set spec.model.s3.credentialsSecretRef to a Secret with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.",
    ),
    rule(
        r"\((?P<code>AccessDenied|InvalidAccessKeyId|SignatureDoesNotMatch|ExpiredToken|403)\) when calling the "
        r"(?P<call>\w{1,40}) operation",
        Reason.MODEL_ACCESS_DENIED,
        "The bucket refuses the credentials ({code} at {call}).",
        "Correct the Secret of spec.model.s3.credentialsSecretRef; it must be allowed to list and read the path.",
    ),
    rule(
        r"\((?P<code>NoSuchBucket|NoSuchKey|404)\) when calling the (?P<call>\w{1,40}) operation",
        Reason.MODEL_NOT_FOUND,
        "The bucket or the path in it does not exist ({code} at {call}).",
        "Correct spec.model.source, or spec.model.s3.endpoint and region.",
    ),
    rule(
        r"Revision Not Found for url: (?P<url>[^\s]{1,200})|is not a valid git identifier",
        Reason.MODEL_NOT_FOUND,
        "The model has no such revision.",
        "Correct spec.model.revision.",
    ),
    rule(
        r"Repository Not Found for url: (?P<url>[^\s]{1,200})",
        Reason.MODEL_NOT_FOUND,
        "The hub has no such model, or does not show it to this token ({url}).",
        f"Correct spec.model.source; if the model is private, {_TOKEN}",
    ),
    rule(
        r"(?P<model>[^\s'\"]{1,120}) is not a local folder and is not a valid model identifier",
        Reason.MODEL_NOT_FOUND,
        "{model} is neither a folder nor a model of the hub that this token may see.",
        f"Correct spec.model.source; if the model is private, {_TOKEN}",
    ),
    rule(
        r"Repo id must (?P<what>[^\n]{1,120})",
        Reason.MODEL_NOT_FOUND,
        "The path of the model does not exist in the pod, or its name is malformed: a name must {what}",
        "Correct spec.model.source; with pvc://CLAIM/PATH the path must exist on the claim.",
    ),
    rule(
        r"offline mode is enabled|outgoing traffic has been disabled|Cannot find an appropriate cached snapshot folder",
        Reason.MODEL_NOT_FOUND,
        "The hub is switched off (offline mode), and the model is not in the cache.",
        "Fill spec.cache with the model, take another spec.model.source, or let the administrator end hub.offline.",
    ),
    rule(
        r"We couldn't connect to '(?P<hub>[^'\n]{1,100})'",
        Reason.HUB_UNREACHABLE,
        "The hub {hub} cannot be reached, and the model is not in the cache.",
        "It is tried again; if it never works, the network policy, a proxy or the administrator's hub.endpoint "
        "is wrong.",
        kind=Kind.TRANSIENT,
    ),
    rule(
        r"(?:429|50[0234]) (?:Client|Server) Error[^\n]{0,60}(?:huggingface|hub|/api/models|/resolve/)|"
        r"Too Many Requests for url",
        Reason.HUB_UNREACHABLE,
        "The hub is overloaded or out of order.",
        f"It is tried again; {_TOKEN} Without a token the hub's limits are low.",
        kind=Kind.TRANSIENT,
    ),
    rule(
        r"(?:HTTPSConnectionPool|MaxRetryError|ConnectTimeout|ReadTimeout|ConnectionError|ConnectError|"
        r"EndpointConnectionError|NewConnectionError)\b[^\n]{0,200}?"
        r"(?P<why>Connection refused|timed out|Name or service not known|Temporary failure in name resolution|"
        r"Network is unreachable|Could not connect|Max retries exceeded)",
        Reason.HUB_UNREACHABLE,
        "The model's hub or storage cannot be reached: {why}.",
        "It is tried again; if it never works, the network policy, a proxy or the endpoint is wrong.",
        kind=Kind.TRANSIENT,
    ),
    rule(
        r"(?:hf_xet|xet_get|XetError|CAS service error|cas-bridge)[^\n]{0,160}",
        Reason.HUB_UNREACHABLE,
        "A download from the hub's storage (Xet) broke off.",
        "It is tried again; the administrator can set HF_HUB_DISABLE_XET=1 in engine.extraEnv.",
        kind=Kind.TRANSIENT,
    ),
)
