"""Texts about the model itself: whether the engine knows it, its quantization, its files, its adapters.

Sources: vLLM 0.32.0 `transformers_utils/config.py`, `model_executor/models/registry.py`, `tokenizers/hf.py`,
`model_executor/model_loader/`, `config/model.py`, `config/vllm.py`, `lora/`; transformers' and safetensors' own words.
"""

from llmfleet.api.conditions import Reason
from llmfleet.engine.failures.rules import Rule, rule

_NEWER = "Set spec.engine.image to a newer vLLM, or serve another model."

_SUPPORT: tuple[Rule, ...] = (
    rule(
        r"Model architectures? \[?'?(?P<arch>\w{1,80})[^\n]{0,80}? (?:are|is) not supported (?:for now|in-tree "
        r"anymore)",
        Reason.MODEL_UNSUPPORTED,
        "The vLLM in use does not know the architecture {arch}.",
        _NEWER,
        blames_spec=True,
    ),
    rule(
        r"Model architecture (?P<arch>\w{1,80}) was supported in vLLM until v(?P<version>[\d.]{1,12})",
        Reason.MODEL_UNSUPPORTED,
        "vLLM supports the architecture {arch} up to {version} only.",
        "Set spec.engine.image to that version, or serve another model.",
        blames_spec=True,
    ),
    rule(
        r"model type `(?P<type>[\w\-.]{1,60})` but Transformers does not recognize this architecture",
        Reason.MODEL_UNSUPPORTED,
        "The image's transformers library does not know the model type {type}.",
        _NEWER,
        blames_spec=True,
    ),
    rule(
        r"Failed to load the tokenizer\.|Couldn't instantiate the backend tokenizer|Tokenizer class (?P<cls>\w{1,60}) "
        r"does not exist",
        Reason.MODEL_UNSUPPORTED,
        "The model's tokenizer cannot be loaded.",
        "If it is code of the model's repository, set spec.model.trustRemoteCode with a fixed "
        "spec.model.revision; else "
        "set spec.engine.image to a newer vLLM.",
    ),
    rule(
        r"contains custom code which must be executed|requires you to execute the (?:configuration|tokenizer|modeling) "
        r"file|Failed to load the model config\. If the model is a custom model",
        Reason.REMOTE_CODE_REQUIRED,
        "The model needs code of its own repository to be run.",
        "If you trust it, set spec.model.trustRemoteCode to true and spec.model.revision to a full commit.",
        blames_spec=True,
    ),
    rule(
        r"Quantization method specified in the model config \((?P<model>[^)\n]{1,40})\) does not match the "
        r"quantization "
        r"method specified in the `quantization` argument \((?P<spec>[^)\n]{1,40})\)",
        Reason.QUANTIZATION_MISMATCH,
        "The checkpoint is quantized with {model}, and spec.engine.quantization says {spec}.",
        "Leave spec.engine.quantization out: the checkpoint says what it needs.",
        blames_spec=True,
    ),
    rule(
        r"Cannot find the config file for (?P<method>[\w\-]{1,40})",
        Reason.QUANTIZATION_MISMATCH,
        "spec.engine.quantization {method} needs a checkpoint that was quantized with it, and this one was not.",
        "Serve a checkpoint that was quantized with {method}, or set spec.engine.quantization to fp8, which any "
        "checkpoint can take.",
        blames_spec=True,
    ),
    rule(
        r"The quantization method (?P<method>[\w\-]{1,40}) is not supported for the current GPU\. Minimum capability: "
        r"(?P<need>\d{1,2})(?P<needed>\d)\. Current capability: (?P<have>\d{1,2})(?P<had>\d)\b",
        Reason.QUANTIZATION_UNSUPPORTED_ON_GPU,
        "The quantization {method} needs a GPU of compute capability {need}.{needed}, and this one has {have}.{had}.",
        "Choose another spec.engine.quantization or checkpoint, or a newer spec.gpu.profile.",
        blames_spec=True,
    ),
    rule(
        r"Quantization scheme is not supported for the current GPU\. Min capability: (?P<need>\d{1,2})(?P<needed>\d)\. "
        r"Current capability: (?P<have>\d{1,2})(?P<had>\d)\b",
        Reason.QUANTIZATION_UNSUPPORTED_ON_GPU,
        "The checkpoint needs a GPU of compute capability {need}.{needed}, and this one has {have}.{had}.",
        "Serve another checkpoint, or choose a newer spec.gpu.profile.",
        blames_spec=True,
    ),
    rule(
        r"(?P<method>[\w\-]{1,40}) quantization is currently not supported in (?P<gpu>[\w\-. ]{1,40})",
        Reason.QUANTIZATION_UNSUPPORTED_ON_GPU,
        "The vLLM in use cannot do {method} on {gpu}.",
        "Choose another spec.engine.quantization or checkpoint.",
        blames_spec=True,
    ),
    rule(
        r"Unknown quantization method: (?P<method>[\w\-]{1,40})",
        Reason.QUANTIZATION_UNSUPPORTED_ON_GPU,
        "The vLLM in use does not know the quantization {method}.",
        "Correct spec.engine.quantization; bitsandbytes ended with vLLM 0.27, gguf with 0.23.",
        blames_spec=True,
    ),
    rule(
        r"(?P<dtype>torch\.\w{1,20}) is not supported for quantization method (?P<method>[\w\-]{1,40})\. Supported "
        r"dtypes: (?P<dtypes>[^\n]{1,80})",
        Reason.QUANTIZATION_MISMATCH,
        "The quantization {method} cannot compute in {dtype}; it can in {dtypes}.",
        "Set spec.engine.dtype to one of them, or leave it out.",
        blames_spec=True,
    ),
    rule(
        r"Bfloat16 is only supported on GPUs with compute capability of at least 8\.0\. Your (?P<gpu>[^\n]{1,60}?) GPU "
        r"(?P<has>has compute capability \d{1,2}\.\d|does not have a compute capability)",
        Reason.DTYPE_UNSUPPORTED_ON_GPU,
        "The {gpu} cannot compute in bfloat16 (it {has}, 8.0 is needed).",
        "Set spec.engine.dtype to half.",
        blames_spec=True,
    ),
)

_FILES: tuple[Rule, ...] = (
    rule(
        r"Cannot find any model weights with `(?P<model>[^`\n]{1,120})`",
        Reason.MODEL_BROKEN,
        "There are no weights in {model}.",
        "Correct spec.model.source: it must lead to a folder with *.safetensors files.",
    ),
    rule(
        r"Could not detect config format for no config file found|does not appear to have a file named "
        r"(?P<file>config\.json|params\.json)|No such file or directory: '[^'\n]{0,200}config\.json'",
        Reason.MODEL_BROKEN,
        "The model has no config.json.",
        "Correct spec.model.source: it must lead to the folder that holds config.json.",
    ),
    rule(
        r"SafetensorError[^\n]{0,80}(?P<what>HeaderTooLarge|HeaderTooSmall|InvalidHeader\w{0,30}|"
        r"MetadataIncompleteBuffer|InvalidOffset|incomplete metadata[^\n]{0,40}|header too (?:large|small)|"
        r"invalid [\w\- ]{1,30}header)",
        Reason.MODEL_BROKEN,
        "A safetensors file of the model is damaged or cut short ({what}).",
        "Upload the model anew, or empty its cache: a download that broke off, or a Git LFS pointer, looks like this.",
    ),
    rule(
        r"UnpicklingError: invalid load key",
        Reason.MODEL_BROKEN,
        "A weights file of the model is no weights file.",
        "Upload the model anew: a Git LFS pointer in place of the file looks like this.",
    ),
    rule(
        r"There is no module or parameter named '?(?P<name>[^'\s]{1,120})'?",
        Reason.MODEL_BROKEN,
        "The checkpoint holds a weight that the architecture has no place for ({name}).",
        "Check that weights and config.json belong together; adapters go into spec.engine.lora.",
    ),
)

_ADAPTERS: tuple[Rule, ...] = (
    rule(
        r"LoRA rank (?P<rank>\d+) is greater than max_lora_rank (?P<most>\d+)",
        Reason.ADAPTER_REFUSED,
        "An adapter has the rank {rank}, and the engine takes up to {most}.",
        "Raise spec.engine.lora.maxRank to {rank} or more.",
        blames_spec=True,
    ),
    rule(
        r"(?P<model>\w{1,80}) does not support LoRA yet",
        Reason.ADAPTER_REFUSED,
        "{model} takes no LoRA adapters.",
        "Remove spec.engine.lora.",
        blames_spec=True,
    ),
    rule(
        r"Loading lora(?P<name> [\w\-./]{1,80}) failed: No adapter found|LoRAAdapterNotFoundError",
        Reason.ADAPTER_REFUSED,
        "There is no LoRA adapter{name} where the spec says.",
        "Correct the source of the adapter in spec.engine.lora.adapters.",
    ),
    rule(
        r"vLLM does not (?:yet )?support (?P<what>DoRA|LoRA bias|Activated LoRA|QALoRA|block-diagonal LoRA|"
        r"layer_replication|init_lora_weights)",
        Reason.ADAPTER_REFUSED,
        "A LoRA adapter is of a kind that vLLM does not take ({what}).",
        "Remove it from spec.engine.lora.adapters, or convert it to a plain LoRA.",
        blames_spec=True,
    ),
    rule(
        r"expected target modules in \[?[^\n]{0,200}but received|is unsupported LoRA weight",
        Reason.ADAPTER_REFUSED,
        "A LoRA adapter changes layers that vLLM cannot adapt, or belongs to another model.",
        "Remove it from spec.engine.lora.adapters, or convert it to a plain LoRA of the base model's own layers.",
        blames_spec=True,
    ),
)

RULES: tuple[Rule, ...] = (*_SUPPORT, *_FILES, *_ADAPTERS)
