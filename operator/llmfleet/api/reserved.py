"""What a user may not put into engine.extraArgs and engine.env, and what to do instead.

The CRD's rules and the operator's own check (`engine.checks`, which also sees abbreviations) read the same tables.
Sources: vLLM 0.33.0 `vllm serve --help=all`, vLLM security documentation, and the project's measurements.
"""

OWNED_FLAGS: dict[str, str] = {
    "--model": "set spec.model.source",
    "--revision": "set spec.model.revision",
    "--code-revision": "set spec.model.revision",
    "--tokenizer-revision": "set spec.model.revision",
    "--served-model-name": "set spec.model.servedNames",
    "--trust-remote-code": "set spec.model.trustRemoteCode",
    "--no-trust-remote-code": "set spec.model.trustRemoteCode",
    "--hf-token": "set spec.model.tokenSecretRef",
    "--dtype": "set spec.engine.dtype",
    "--quantization": "set spec.engine.quantization",
    "-q": "set spec.engine.quantization",
    "--gpu-memory-utilization": "set spec.engine.gpuMemoryUtilization",
    "--device-memory-utilization": "set spec.engine.gpuMemoryUtilization",
    "--max-model-len": "set spec.engine.maxModelLen",
    "--max-num-seqs": "set spec.engine.maxNumSeqs",
    "--max-num-batched-tokens": "set spec.engine.maxNumBatchedTokens",
    "--kv-cache-dtype": "set spec.engine.kvCacheDtype",
    "--enable-prefix-caching": "set spec.engine.prefixCaching",
    "--no-enable-prefix-caching": "set spec.engine.prefixCaching",
    "--enable-chunked-prefill": "set spec.engine.chunkedPrefill",
    "--no-enable-chunked-prefill": "set spec.engine.chunkedPrefill",
    "--speculative-config": "set spec.engine.speculative",
    "-sc": "set spec.engine.speculative",
    "--spec-method": "set spec.engine.speculative",
    "--spec-model": "set spec.engine.speculative",
    "--spec-tokens": "set spec.engine.speculative",
    "--tool-call-parser": "set spec.engine.toolCallParser",
    "--enable-auto-tool-choice": "set spec.engine.toolCallParser",
    "--no-enable-auto-tool-choice": "set spec.engine.toolCallParser",
    "--reasoning-parser": "set spec.engine.reasoningParser",
    "--chat-template": "set spec.engine.chatTemplate",
    "--enable-lora": "set spec.engine.lora",
    "--no-enable-lora": "set spec.engine.lora",
    "--lora-modules": "set spec.engine.lora",
    "--max-loras": "set spec.engine.lora.maxLoras",
    "--max-lora-rank": "set spec.engine.lora.maxRank",
    "--load-format": "set spec.engine.loadFormat",
    "--pipeline-parallel-size": "set spec.gpu.pipelineParallelSize",
    "-pp": "set spec.gpu.pipelineParallelSize",
    "--tensor-parallel-size": "set spec.gpu.tensorParallelSize",
    "-tp": "set spec.gpu.tensorParallelSize",
    "--shutdown-timeout": "set spec.drain.timeoutSeconds",
    "--api-key": "set spec.access.apiKeySecretRef (argv can be read by anyone on the node)",
    "--host": "leave it out: the operator sets it",
    "--port": "leave it out: the Service and the probes use port 8000",
    "--uds": "leave it out: the Service and the probes use port 8000",
    "--root-path": "leave it out: the probes use the root path",
    "--download-dir": "leave it out: the operator mounts the cache",
}
"""Flag -> what to do instead. A typed field of the spec, or the operator itself, owns each of them."""

PARALLEL_FLAGS: tuple[str, ...] = (
    "--data-parallel-size",
    "-dp",
    "--data-parallel-size-local",
    "-dpl",
    "--data-parallel-rank",
    "-dpn",
    "--data-parallel-start-rank",
    "-dpr",
    "--data-parallel-address",
    "-dpa",
    "--data-parallel-rpc-port",
    "-dpp",
    "--prefill-context-parallel-size",
    "-pcp",
    "--nnodes",
    "-n",
    "--node-rank",
    "-r",
    "--master-addr",
    "--master-port",
    "--headless",
)
"""Flags that change how many GPUs or nodes a replica needs, which the pod would not ask for."""

UNSAFE_FLAGS: dict[str, str] = {
    "--config": "a configuration file could set any flag unseen",
    "--allowed-local-media-path": "requests could read files of the pod",
    "--enable-prompt-embeds": "requests could crash or take over the engine (CVE-2025-62164)",
    "--enable-mm-embeds": "requests could crash the engine (CVE-2025-62372)",
    "--trust-request-chat-template": "requests could run templates of their own",
    "--trust-request-mm-kwargs": "requests could change how media are processed",
    "--tool-server": "the engine would call servers that requests choose",
    "--enable-tokenizer-info-endpoint": "it opens an endpoint without authentication",
    "--profiler-config": "it opens endpoints without authentication",
    "--grpc": "it opens a port without authentication",
    "--grpc-port": "it opens a port without authentication",
    "--middleware": "it imports code into the API server",
    "--logits-processors": "it imports code into the engine",
    "--tool-parser-plugin": "it imports code into the API server",
    "--reasoning-parser-plugin": "it imports code into the API server",
    "--worker-cls": "it imports code into the engine",
    "--worker-extension-cls": "it imports code into the engine",
    "--scheduler-cls": "it imports code into the engine",
    "--log-config-file": "a logging configuration can name any code to run",
    "--ssl-keyfile": "the probes and the Service speak HTTP; end TLS in front of it",
    "--ssl-certfile": "the probes and the Service speak HTTP; end TLS in front of it",
    "--ssl-ca-certs": "the probes and the Service speak HTTP; end TLS in front of it",
}
"""Flag -> why it is refused."""

BLINDING_FLAGS: tuple[str, ...] = ("--disable-log-stats", "--no-enable-log-stats")
"""Flags that take every vllm: metric away, and so autoscaling and hang detection."""

RESERVED_ENV_PREFIXES: tuple[str, ...] = (
    "AWS_CONFIG_FILE",  # a profile's credential_process is a command
    "AWS_SHARED_CREDENTIALS_FILE",
    "CUDA_HOME",
    "CUDA_INJECTION",
    "CUDA_VISIBLE_DEVICES",
    "FLASHINFER_WORKSPACE",
    "GCONV_PATH",
    "HF_",
    "HIP_VISIBLE_DEVICES",
    "HOME",
    "HSA_TOOLS_LIB",
    "HUGGING_FACE_HUB_TOKEN",
    "KUBERNETES_",
    "LD_",
    "LOGNAME",
    "MODELSCOPE_",
    "NCCL_NET_PLUGIN",
    "NCCL_PROFILER_PLUGIN",
    "NCCL_TUNER_PLUGIN",
    "NVIDIA_",
    "OMP_TOOL",
    "OPENSSL_",
    "PATH",
    "PROMETHEUS_MULTIPROC_DIR",
    "PYTHON",
    "TMPDIR",
    "TORCHINDUCTOR_",
    "TORCH_EXTENSIONS_DIR",
    "TRANSFORMERS_",
    "TRITON_",  # TRITON_CACHE_MANAGER is imported, TRITON_PTXAS_PATH executed
    "USER",
    "VLLM_ALLOW_",
    "VLLM_API_KEY",
    "VLLM_CACHE_ROOT",
    "VLLM_CONFIG_ROOT",
    "VLLM_HOST_IP",
    "VLLM_KEEP_ALIVE_ON_ENGINE_DEATH",
    "VLLM_LOGGING_CONFIG_PATH",  # names factories that logging calls
    "VLLM_NCCL_SO_PATH",
    "VLLM_PLUGINS",
    "VLLM_PORT",
    "VLLM_RPC_BASE_PATH",
    "VLLM_SERVER_DEV_MODE",
    "VLLM_TORCH_CUDA_PROFILE",
    "VLLM_TORCH_PROFILER",
    "VLLM_USE_MODELSCOPE",
    "VLLM_WORKER_MULTIPROC_METHOD",
    "XDG_",
)
"""Prefixes of environment names that the operator owns, or that would run code, open endpoints, or take the model from
elsewhere. Whoever writes a model's repository could bring the file that such a variable names, and so run code where
trustRemoteCode is false."""

RESERVED_ENV_NAMES: tuple[str, ...] = ("CC", "CXX")
"""Names that are reserved as a whole: the compiler that Triton and Inductor run."""


def is_reserved_variable(name: str) -> bool:
    """Whether a tenant may not set this environment variable."""
    return name.startswith(RESERVED_ENV_PREFIXES) or name in RESERVED_ENV_NAMES


def refused_flags() -> dict[str, str]:
    """Every refused flag, with the rest of the sentence that explains the refusal."""
    parallel = "it changes how many GPUs a replica needs; set spec.gpu"
    blinding = "without the engine's statistics neither scaling nor hang detection can work"
    return (
        {flag: f"is owned by a field: {instead}" for flag, instead in OWNED_FLAGS.items()}
        | dict.fromkeys(PARALLEL_FLAGS, f"is refused: {parallel}")
        | {flag: f"is refused: {why}" for flag, why in UNSAFE_FLAGS.items()}
        | dict.fromkeys(BLINDING_FLAGS, f"is refused: {blinding}")
    )
