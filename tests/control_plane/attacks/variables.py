"""Rows about the environment, and about sizes."""

from tests.control_plane.attacks.row import Attack, has_variable, variable
from tests.crd.cases import HUB

VARIABLES = (
    variable("preload", "`LD_PRELOAD`", variable="LD_PRELOAD", value="/x.so", refused="LD_PRELOAD is refused"),
    variable("python-path", "`PYTHONPATH`", variable="PYTHONPATH", refused="PYTHONPATH is refused"),
    variable(
        "all-gpus",
        "`NVIDIA_VISIBLE_DEVICES=all`: the GPUs of others",
        variable="NVIDIA_VISIBLE_DEVICES",
        value="all",
        refused="names that start with NVIDIA_",
    ),
    variable(
        "dev-mode",
        "`VLLM_SERVER_DEV_MODE`: endpoints that change the engine",
        variable="VLLM_SERVER_DEV_MODE",
        refused="VLLM_SERVER_DEV_MODE is refused",
    ),
    variable(
        "pickle",
        "`VLLM_ALLOW_INSECURE_SERIALIZATION`: pickled requests",
        variable="VLLM_ALLOW_INSECURE_SERIALIZATION",
        refused="names that start with VLLM_ALLOW_",
    ),
    variable(
        "runtime-lora",
        "`VLLM_ALLOW_RUNTIME_LORA_UPDATING`: adapters by request",
        variable="VLLM_ALLOW_RUNTIME_LORA_UPDATING",
        refused="names that start with VLLM_ALLOW_",
    ),
    variable("plugins", "`VLLM_PLUGINS`: code at start", variable="VLLM_PLUGINS", refused="VLLM_PLUGINS is refused"),
    variable(
        "profiler",
        "`VLLM_TORCH_PROFILER_DIR`: endpoints of older versions",
        variable="VLLM_TORCH_PROFILER_DIR",
        refused="names that start with VLLM_TORCH_PROFILER",
    ),
    variable(
        "triton-manager",
        "`TRITON_CACHE_MANAGER`: a class that Triton imports",
        variable="TRITON_CACHE_MANAGER",
        refused="names that start with TRITON_",
    ),
    variable("compiler", "`CC`: a program that Triton runs", variable="CC", value="/cache/x", refused="CC is refused"),
    variable(
        "logging",
        "`VLLM_LOGGING_CONFIG_PATH`: code through Python's logging",
        variable="VLLM_LOGGING_CONFIG_PATH",
        refused="names that start with VLLM_LOGGING_CONFIG_PATH",
    ),
    variable(
        "key-variable",
        "`VLLM_API_KEY` as a literal, or to blank the key",
        variable="VLLM_API_KEY",
        value="",
        refused="VLLM_API_KEY is refused",
    ),
    variable(
        "hub-endpoint",
        "`HF_ENDPOINT`: a hub of its own, which gets the token",
        variable="HF_ENDPOINT",
        refused="names that start with HF_",
    ),
    variable(
        "aws-profile",
        "`AWS_CONFIG_FILE`: a profile whose `credential_process` is a command",
        variable="AWS_CONFIG_FILE",
        refused="AWS_CONFIG_FILE is refused",
    ),
    variable(
        "cluster-address",
        "`KUBERNETES_SERVICE_HOST`",
        variable="KUBERNETES_SERVICE_HOST",
        refused="names that start with KUBERNETES_",
    ),
    variable(
        "variable-name",
        "a name with `=` or a newline, `A=LD_PRELOAD`",
        variable="A=LD_PRELOAD",
        refused="spec.engine.env[0].name",
    ),
    Attack(
        name="expansion-in-variable",
        what="`$(VLLM_API_KEY)` in a variable that is logged",
        change={"engine": {"env": [{"name": "NOTE", "value": "$(VLLM_API_KEY)"}]}},
        harmless="every dollar is doubled: the variable holds the very text",
        proof=has_variable("NOTE", "$$(VLLM_API_KEY)"),
    ),
)
"""The engine's environment."""

SIZES = (
    Attack(
        name="gpus-1000",
        what="1000 GPUs for a replica",
        change={"gpu": {"tensorParallelSize": 1000}},
        refused="should be less than or equal to 64",
    ),
    Attack(
        name="gpus-4096",
        what="64 times 64 GPUs for a replica",
        change={"gpu": {"tensorParallelSize": 64, "pipelineParallelSize": 64}},
        reason="TooManyGPUs",
        words="A replica asks for 4096 GPUs",
    ),
    Attack(
        name="replicas",
        what="a million replicas",
        change={"replicas": 1000000},
        refused="should be less than or equal to 1000",
    ),
    Attack(
        name="long-drain",
        what="a grace period of a year, to keep GPUs on the way out",
        change={"drain": {"timeoutSeconds": 31536000}},
        refused="should be less than or equal to 7200",
    ),
    Attack(
        name="quantity",
        what="a negative amount of memory",
        change={"resources": {"requests": {"memory": "-1Gi"}}},
        refused="must be a quantity above zero",
    ),
    Attack(
        name="many-items",
        what="65 arguments",
        change={"engine": {"extraArgs": [f"--a{i}" for i in range(65)]}},
        refused="must have at most 64 items",
    ),
    Attack(
        name="long-text",
        what="a variable of 64 KiB",
        change={"engine": {"env": [{"name": "A", "value": "x" * 65536}]}},
        refused="Too long: may not be more than 4096",
    ),
    Attack(
        name="served-name",
        what='a served name that would break out of a metric label, `x"} 1`',
        change={"model": HUB | {"servedNames": ['x"} 1\nllmfleet_leader 0']}},
        refused="spec.model.servedNames[0]",
    ),
)
"""Too much, too long, too strange."""
