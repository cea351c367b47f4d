"""spec.engine: how vLLM is run."""

import json
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, StrictInt

from llmfleet.api.base import ATOMIC, ApiModel, Cel, Extension, list_map, rules
from llmfleet.api.model import HF_SOURCE, PVC_SOURCE
from llmfleet.api.references import ConfigMapKeyRef
from llmfleet.api.reserved import RESERVED_ENV_NAMES, RESERVED_ENV_PREFIXES, refused_flags

PARSER_NAME = r"^[A-Za-z0-9][A-Za-z0-9_.-]*$"
NO_NUL = r"^[^\x00]*$"
"""No process can be given a text with a NUL: its pod would never start."""


def _cel(value: str | tuple[str, ...] | dict[str, str]) -> str:
    """A CEL literal; JSON is one."""
    return json.dumps(value)


_FLAG = "self.split('=', 2)[0].split('.', 2)[0].replace('_', '-')"
"""CEL: the canonical name of the flag in an argument (`--a_b.c=d` is `--a-b`)."""
_REFUSED = _cel(refused_flags())
_REFUSED_NAMES = _cel(tuple(refused_flags()))
_RESERVED, _RESERVED_NAMES = _cel(RESERVED_ENV_PREFIXES), _cel(RESERVED_ENV_NAMES)


class EnvVar(ApiModel):
    """One environment variable of the engine."""

    name: Annotated[
        str,
        Field(min_length=1, max_length=128, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$"),
        Cel(
            f"!(self in {_RESERVED_NAMES}) && !{_RESERVED}.exists(p, self.startsWith(p))",
            "this environment variable is set by the operator, or would load code or open endpoints: remove it",
            f"self + ' is refused: names that start with ' + "
            f"({_RESERVED} + {_RESERVED_NAMES}).filter(p, self.startsWith(p))[0] + "
            "' are set by the operator, or would load code or open endpoints'",
        ),
    ]
    """Name; a closed list of prefixes is refused."""
    value: Annotated[str, Field(max_length=4096, pattern=NO_NUL)] = ""
    """Value, taken literally: $(NAME) is not expanded."""


class Dtype(StrEnum):
    """Type of weights and activations, by vLLM's names."""

    AUTO = "auto"
    HALF = "half"
    BFLOAT16 = "bfloat16"
    FLOAT = "float"


class LoadFormat(StrEnum):
    """How the weights are read, by vLLM's names; those that read pickled weights, which can run code, are not here."""

    AUTO = "auto"
    SAFETENSORS = "safetensors"
    MISTRAL = "mistral"
    RUNAI_STREAMER = "runai_streamer"
    RUNAI_STREAMER_SHARDED = "runai_streamer_sharded"
    SHARDED_STATE = "sharded_state"
    FASTSAFETENSORS = "fastsafetensors"
    DUMMY = "dummy"


class SpeculativeSpec(ApiModel):
    """Speculative decoding: cheap guesses that the model checks several at a time."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            Cel(
                "has(self.model) || self.method in ['ngram', 'mtp', 'suffix']",
                "model is missing: only the methods ngram, mtp and suffix guess without a model of their own",
            )
        )
    )

    method: Annotated[str, Field(min_length=1, max_length=63, pattern=PARSER_NAME)]
    """vLLM's name of the method, such as ngram, eagle3, mtp or draft_model."""
    model: Annotated[str, Field(min_length=3, max_length=193, pattern=HF_SOURCE)] | None = None
    """The model that guesses, as hf://ORG/NAME. Absent for methods without one."""
    num_speculative_tokens: Annotated[int, Field(ge=1, le=64)]
    """Tokens guessed at a time."""


class LoraAdapter(ApiModel):
    """One adapter, served under a name of its own."""

    name: Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/@-]*$")]
    """Name under which requests ask for it."""
    source: Annotated[
        str,
        Field(min_length=3, max_length=512),
        Cel(
            f"self.matches('{HF_SOURCE}') || self.matches('{PVC_SOURCE}')",
            "must be hf://ORG/NAME (or ORG/NAME), or pvc://CLAIM/PATH",
        ),
    ]
    """hf://ORG/NAME or pvc://CLAIM/PATH."""


class LoraSpec(ApiModel):
    """LoRA adapters, loaded at start."""

    adapters: Annotated[tuple[LoraAdapter, ...], Field(min_length=1, max_length=64), list_map("name")]
    """The adapters."""
    max_loras: Annotated[int, Field(ge=1, le=1024)] | None = None
    """Most adapters in one batch. Absent: vLLM's choice, 1."""
    max_rank: (
        Annotated[
            int,
            Field(ge=1, le=512),
            Cel("self in [1, 8, 16, 32, 64, 128, 256, 320, 512]", "must be 1, 8, 16, 32, 64, 128, 256, 320 or 512"),
        ]
        | None
    ) = None
    """Highest rank among the adapters. Absent: vLLM's choice, 16."""


class EngineSpec(ApiModel):
    """How vLLM is run. What is absent is left to vLLM."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            Cel(
                "!has(self.maxNumSeqs) || !has(self.maxNumBatchedTokens) || "
                "self.maxNumBatchedTokens >= self.maxNumSeqs",
                "maxNumBatchedTokens must be at least maxNumSeqs: vLLM refuses to start otherwise",
            ),
            Cel(
                "!has(self.chunkedPrefill) || self.chunkedPrefill || !has(self.maxNumBatchedTokens) || "
                "!has(self.maxModelLen) || type(self.maxModelLen) != int || "
                "self.maxNumBatchedTokens >= int(self.maxModelLen)",
                "without chunkedPrefill maxNumBatchedTokens must be at least maxModelLen: "
                "vLLM refuses to start otherwise",
            ),
        )
    )

    image: Annotated[str, Field(max_length=512, pattern=r"^([a-z0-9][A-Za-z0-9._:/@-]*)?$")] = ""
    """Container image with vLLM. Empty: the default of the operator's settings, which also say what is allowed."""
    dtype: Dtype = Dtype.AUTO
    """Type of weights and activations."""
    quantization: Annotated[str, Field(min_length=1, max_length=63, pattern=r"^[a-z0-9][a-z0-9_-]*$")] | None = None
    """A quantization method of the vLLM in use, such as fp8 or awq. Absent: what the checkpoint says."""
    gpu_memory_utilization: Annotated[float, Field(gt=0, lt=1)] = 0.9
    """Share of the GPU's memory that vLLM may use, for weights, activations and KV cache together. At 1.0 nothing
    would be left for CUDA graphs and spikes, so it is refused; above 0.95 there is a warning."""
    max_model_len: (
        Annotated[
            StrictInt | Literal["auto"],
            Extension((("x-kubernetes-int-or-string", True),)),
            Cel(
                "type(self) == int ? (self >= 1 && self <= 10485760) : self == 'auto'",
                "must be a number of tokens from 1 to 10485760, or auto (the longest that fits)",
            ),
        ]
        | None
    ) = None
    """Longest sequence in tokens, prompt and answer together, or auto. Absent: what the model's configuration says."""
    max_num_seqs: Annotated[int, Field(ge=1, le=65536)] | None = None
    """Most sequences in one batch. Absent: vLLM's choice for the GPU."""
    max_num_batched_tokens: Annotated[int, Field(ge=1, le=1048576)] | None = None
    """Most tokens in one engine step. Absent: vLLM's choice for the GPU."""
    kv_cache_dtype: Annotated[str, Field(min_length=1, max_length=63, pattern=r"^[a-z0-9][a-z0-9_]*$")] | None = None
    """Type of the KV cache by vLLM's names, such as fp8, which holds twice as many tokens. Absent: the model's."""
    prefix_caching: bool | None = None
    """Keep the KV cache of prompts for later ones that begin alike. Absent: vLLM's choice, on where it works."""
    chunked_prefill: bool | None = None
    """Split long prompts over several engine steps. Absent: vLLM's choice, on where it works."""
    speculative: SpeculativeSpec | None = None
    """Speculative decoding."""
    tool_call_parser: Annotated[str, Field(min_length=1, max_length=63, pattern=PARSER_NAME)] | None = None
    """A tool parser of the vLLM in use, such as hermes; clients may then leave the choice of tools to the model."""
    reasoning_parser: Annotated[str, Field(min_length=1, max_length=63, pattern=PARSER_NAME)] | None = None
    """A reasoning parser of the vLLM in use, such as qwen3: it separates the thoughts from the answer."""
    chat_template: ConfigMapKeyRef | None = None
    """Chat template (Jinja) that replaces the model's own. Pods read it at their start."""
    lora: LoraSpec | None = None
    """LoRA adapters."""
    load_format: LoadFormat = LoadFormat.AUTO
    """How the weights are read. runai_streamer streams them from the volume or the bucket, which is faster."""
    extra_args: Annotated[
        tuple[
            Annotated[
                str,
                Field(min_length=1, max_length=1024, pattern=NO_NUL),
                Cel(
                    f"!({_FLAG} in {_REFUSED_NAMES})",
                    "is a flag that a typed field owns, or that is unsafe: remove it",
                    f"{_FLAG} + ' ' + {_REFUSED}[{_FLAG}]",
                ),
            ],
            ...,
        ],
        Field(max_length=64),
        ATOMIC,
        Cel(
            "self.size() == 0 || self[0].startsWith('-')",
            "must start with a flag: each item is one argument, as in ['--async-scheduling', '--seed', '7']",
        ),
    ] = ()
    """More arguments of `vllm serve`, one item each. Flags that a field owns, or that are unsafe, are refused."""
    env: Annotated[tuple[EnvVar, ...], Field(max_length=64), list_map("name")] = ()
    """Environment variables of the engine. A closed list of prefixes is refused."""
