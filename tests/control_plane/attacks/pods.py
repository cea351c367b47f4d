"""Rows about fields of pods, references to what belongs to others, and sources of models."""

from tests.control_plane.attacks.row import Attack, ignored, restricted, source
from tests.crd.cases import HUB

POD_FIELDS = (
    ignored(
        "host-path",
        "`spec.volumes` with a `hostPath`",
        {"volumes": [{"name": "root", "hostPath": {"path": "/"}}], "engine": {"volumeMounts": [{"name": "root"}]}},
    ),
    ignored(
        "pod-template",
        "a `podTemplate` with a privileged sidecar",
        {"podTemplate": {"spec": {"containers": [{"name": "x", "securityContext": {"privileged": True}}]}}},
    ),
    ignored("service-account", "another `serviceAccountName`", {"serviceAccountName": "admin"}),
    ignored(
        "account-token",
        "`automountServiceAccountToken: true`",
        {"automountServiceAccountToken": True, "engine": {"automountServiceAccountToken": True}},
    ),
    ignored(
        "host-network", "`hostNetwork`, `hostPID`, `hostIPC`", {"hostNetwork": True, "hostPID": True, "hostIPC": True}
    ),
    ignored(
        "privileged",
        "`securityContext: {privileged: true, runAsUser: 0}`",
        {"engine": {"securityContext": {"privileged": True, "runAsUser": 0}}},
    ),
    ignored(
        "node-name",
        "`nodeName`, `nodeSelector`, `tolerations`: another tenant's nodes",
        {"nodeName": "gpu-1", "nodeSelector": {"a": "b"}, "tolerations": [{"operator": "Exists"}]},
    ),
    ignored("priority", "`priorityClassName: system-node-critical`", {"priorityClassName": "system-node-critical"}),
    ignored(
        "own-command",
        "a `command` of its own, with a shell",
        {"engine": {"command": ["sh", "-c", "id"], "args": ["-c"]}},
    ),
    ignored("init-container", "an init container", {"initContainers": [{"name": "x", "image": "busybox"}]}),
    ignored(
        "env-from",
        "`envFrom` with any Secret of the namespace",
        {"engine": {"envFrom": [{"secretRef": {"name": "database"}}]}},
    ),
    Attack(
        name="value-from",
        what="`engine.env[].valueFrom` with any Secret of the namespace",
        change={"engine": {"env": [{"name": "X", "valueFrom": {"secretKeyRef": {"name": "database", "key": "x"}}}]}},
        harmless="the field does not exist and is dropped; the variable is empty",
        proof=lambda pod, _: {"name": "X"} in pod["containers"][0]["env"],
    ),
    ignored("image-pull-secret", "somebody's `imagePullSecrets`", {"imagePullSecrets": [{"name": "registry"}]}),
)
"""What pods have and LLMDeployments have not."""

REFERENCES = (
    Attack(
        name="foreign-secret",
        what="a Secret of another namespace, by a `namespace` in the reference",
        change={"access": {"apiKeySecretRef": {"name": "key", "key": "k", "namespace": "blue"}}},
        harmless="references have no namespace: the kubelet looks for the Secret beside the pod",
        proof=lambda pod, _: (
            {"name": "VLLM_API_KEY", "valueFrom": {"secretKeyRef": {"name": "key", "key": "k"}}}
            in pod["containers"][0]["env"]
        ),
    ),
    Attack(
        name="foreign-secret-by-name",
        what="the same by the name `blue/key`",
        change={"access": {"apiKeySecretRef": {"name": "blue/key", "key": "k"}}},
        refused="spec.access.apiKeySecretRef.name",
    ),
    Attack(
        name="secret-key-path",
        what="a key of a Secret that is a path, `../../token`",
        change={"model": HUB | {"tokenSecretRef": {"name": "hf", "key": "../../token"}}},
        refused="spec.model.tokenSecretRef.key",
    ),
    Attack(
        name="template-path",
        what="a chat template's key that is a path, `../../etc/passwd`",
        change={"engine": {"chatTemplate": {"name": "templates", "key": "../../etc/passwd"}}},
        refused="spec.engine.chatTemplate.key",
    ),
    Attack(
        name="foreign-claim",
        what="a claim of another namespace as cache, `blue/weights`",
        change={"cache": {"claimName": "blue/weights"}},
        refused="spec.cache.claimName",
    ),
    Attack(
        name="service-account-token",
        what="the token of a service account, by the name of its Secret, as an API key",
        change={"access": {"apiKeySecretRef": {"name": "admin-token", "key": "token"}}},
        harmless=(
            "the value goes into the engine's environment, of which nothing shows it; who may not read Secrets cannot "
            "read it out, unless by code of a pinned repository (`trustRemoteCode`): keep such Secrets elsewhere"
        ),
        proof=lambda pod, plain: restricted(pod, plain) and "admin-token" not in str(pod["containers"][0]["args"]),
    ),
)
"""References to what belongs to others."""

SOURCES = (
    source("claim-parent", "`pvc://../other/model`", "pvc://../other/model"),
    source("claim-path", "`pvc://claim/../../etc`", "pvc://claim/../../etc"),
    source("local-path", "`/etc/passwd` as a model", "/etc/passwd"),
    source("file-url", "`file:///etc`", "file:///etc"),
    source("web-url", "`https://evil.example/model`", "https://evil.example/model"),
    source("hub-parent", "`hf://../..`", "hf://../.."),
    source("bucket-path", "`s3://bucket/../other/model`", "s3://bucket/../other/model"),
    source("image-path", "`oci://image#../../proc`", "oci://image#../../proc"),
    source("source-flag", "a flag as a model, `--config/x`", "--config/x"),
    source("source-newline", "a newline in the source", "hf://a/b\n--api-key=x"),
    Attack(
        name="bucket-endpoint",
        what="a bucket's endpoint with a path and a query, at the cloud's metadata",
        change={"model": {"source": "s3://bucket/m", "s3": {"endpoint": "http://169.254.169.254/latest?x=1"}}},
        refused="spec.model.s3.endpoint",
    ),
    Attack(
        name="adapter-path",
        what="a LoRA adapter from a path",
        change={"engine": {"lora": {"adapters": [{"name": "a", "source": "/etc"}]}}},
        refused="must be hf://ORG/NAME (or ORG/NAME), or pvc://CLAIM/PATH",
    ),
    Attack(
        name="unpinned-code",
        what="`trustRemoteCode` from a branch that may change",
        change={"model": HUB | {"trustRemoteCode": True, "revision": "main"}},
        refused="set revision to a full 40-character commit",
    ),
    Attack(
        name="revision-flag",
        what="a flag as a revision",
        change={"model": HUB | {"revision": "--trust-remote-code"}},
        refused="spec.model.revision",
    ),
)
"""Where models come from."""
