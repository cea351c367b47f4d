"""Rows about the engine: its image, arguments and environment."""

from tests.control_plane.attacks.row import Attack, argument, has_argument

IMAGES = (
    Attack(
        name="unlisted-image",
        what="an image that the settings do not allow",
        change={"engine": {"image": "evil.example/miner:1"}},
        reason="ImageNotAllowed",
        words="do not allow the image evil.example/miner:1",
    ),
    Attack(
        name="prefixed-image",
        what="an allowed name behind another registry",
        change={"engine": {"image": "evil.example/vllm/vllm-openai:v0.32.0"}},
        reason="ImageNotAllowed",
        words="do not allow the image",
    ),
    Attack(
        name="image-with-shell",
        what="`image; rm -rf /` and other characters that no image has",
        change={"engine": {"image": "vllm/vllm-openai:v1; rm -rf /"}},
        refused="spec.engine.image",
    ),
    Attack(
        name="image-homoglyph",
        what="an allowed image written with a letter of another alphabet",
        change={"engine": {"image": "vllm/vllm-\u043epenai:v0.32.0"}},
        refused="spec.engine.image",
    ),
    Attack(
        name="unknown-profile",
        what="a GPU profile that the settings do not have",
        change={"gpu": {"profile": "dgx"}},
        reason="ProfileNotFound",
        words="There is no GPU profile 'dgx'",
    ),
)
"""What the administrator allows."""

ARGUMENTS = (
    argument(
        "api-key-argument",
        "`--api-key` in extraArgs: readable on the node",
        "--api-key=x",
        refused="argv can be read by anyone on the node",
    ),
    argument(
        "trust-argument", "`--trust-remote-code`", "--trust-remote-code", refused="set spec.model.trustRemoteCode"
    ),
    argument(
        "trust-underscores",
        "the same as `--trust_remote_code`",
        "--trust_remote_code",
        refused="set spec.model.trustRemoteCode",
    ),
    argument(
        "model-argument", "`--model`: another model than the plan's", "--model=a/b", refused="set spec.model.source"
    ),
    argument(
        "port-argument", "`--host`, `--port`: past the NetworkPolicy", "--port=9000", refused="the probes use port 8000"
    ),
    argument(
        "config-argument",
        "`--config`: any flag, unseen",
        "--config=/models/x.yaml",
        refused="a configuration file could set any flag unseen",
    ),
    argument(
        "media-argument",
        "`--allowed-local-media-path`: requests read files of the pod",
        "--allowed-local-media-path=/",
        refused="requests could read files of the pod",
    ),
    argument(
        "middleware-argument",
        "`--middleware`: code in the server",
        "--middleware=os.system",
        refused="it imports code into the API server",
    ),
    argument(
        "worker-argument",
        "`--worker-extension-cls`: code in the engine",
        "--worker-extension-cls=x.Y",
        refused="it imports code into the engine",
    ),
    argument(
        "logging-argument",
        "`--log-config-file`: code through Python's logging",
        "--log-config-file=/models/x.json",
        refused="a logging configuration can name any code to run",
    ),
    argument(
        "json-key",
        "one key of a refused flag, `--profiler-config.profiler=torch`",
        "--profiler-config.profiler=torch",
        refused="it opens endpoints without authentication",
    ),
    argument(
        "blinding",
        "`--disable-log-stats`: no metrics, so neither scaling nor hang detection",
        "--disable-log-stats",
        refused="neither scaling nor hang detection",
    ),
    argument(
        "data-parallel",
        "`-dp 8`: more GPUs than the pod asks for",
        "-dp",
        "8",
        refused="changes how many GPUs a replica needs",
    ),
    argument("positional", "a second model as a bare word", "a/b", refused="must start with a flag"),
    argument("nul", "a NUL character in an argument", "--a=\0", refused="spec.engine.extraArgs[0]"),
    Attack(
        name="abbreviation",
        what="`--api-k=x`, which vLLM's parser completes",
        change={"engine": {"extraArgs": ["--api-k=x"]}},
        reason="Forbidden",
        words="--api-k is read as --api-key",
    ),
    Attack(
        name="glued",
        what="`-qfp8`, a short flag and its value in one",
        change={"engine": {"extraArgs": ["-qfp8"]}},
        reason="Forbidden",
        words="-qfp8 is read as -q fp8",
    ),
    Attack(
        name="unknown-flag",
        what="a flag in full-width letters, `\uff0d\uff0dapi-key`",
        change={"engine": {"extraArgs": ["--seed=1", "\uff0d\uff0dapi-key=x"]}},
        harmless="no flag begins so: vLLM gets the very word, and ends over it",
        proof=has_argument("\uff0d\uff0dapi-key=x"),
    ),
    Attack(
        name="shell",
        what="`; rm -rf / #`, `$(id)` and backquotes in an argument",
        change={"engine": {"extraArgs": ["--seed=1; rm -rf / # $(id) `id`"]}},
        harmless="there is no shell: vLLM gets one argument with these very characters",
        proof=has_argument("--seed=1; rm -rf / # $$(id) `id`"),
    ),
    Attack(
        name="secret-expansion",
        what="`$(VLLM_API_KEY)` in an argument: the key in argv",
        change={"engine": {"extraArgs": ["--generation-config=$(VLLM_API_KEY)$$(HF_TOKEN)"]}},
        harmless="every dollar is doubled, so the kubelet expands nothing: vLLM gets the very text",
        proof=has_argument("--generation-config=$$(VLLM_API_KEY)$$$$(HF_TOKEN)"),
    ),
)
"""Flags of `vllm serve`."""
