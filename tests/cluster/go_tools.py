"""Which programs are built from Go modules, and how. Each module has its go.mod and go.sum in a folder of `go/`."""

from dataclasses import dataclass
from pathlib import Path

MODULES = Path(__file__).parent / "go"
KUBERNETES = "v1.34.4"
MINOR = KUBERNETES.split(".")[1]
HELM = "v3.22.0"


@dataclass(frozen=True, kw_only=True)
class Tool:
    """One program."""

    name: str
    module: str
    """Folder in `go/`. Tools share one where they want the same versions of everything below them."""
    package: str
    variables: tuple[str, ...] = ()
    """NAME=VALUE pairs for the linker, without which a program would not know its own version."""

    @property
    def folder(self) -> Path:
        """Where its go.mod is."""
        return MODULES / self.module


def _kubernetes(name: str) -> Tool:
    version = "k8s.io/component-base/version"
    variables = (
        f"{version}.gitVersion={KUBERNETES}",
        f"{version}.gitMajor=1",
        f"{version}.gitMinor={MINOR}",
        f"k8s.io/client-go/pkg/version.gitVersion={KUBERNETES}",
    )
    return Tool(name=name, module="kubernetes", package=f"k8s.io/kubernetes/cmd/{name}", variables=variables)


CONTROL_PLANE = (
    Tool(name="etcd", module="kubernetes", package="go.etcd.io/etcd/server/v3"),
    *(_kubernetes(f"kube-{part}") for part in ("apiserver", "controller-manager", "scheduler")),
    _kubernetes("kubectl"),
)
CHART = (
    Tool(
        name="helm",
        module="helm",
        package="helm.sh/helm/v3/cmd/helm",
        variables=(
            f"helm.sh/helm/v3/internal/version.version={HELM}",
            "helm.sh/helm/v3/pkg/chartutil.k8sVersionMajor=1",  # what `helm template` takes a cluster for
            f"helm.sh/helm/v3/pkg/chartutil.k8sVersionMinor={MINOR}",
        ),
    ),
)
CLIENT = (_kubernetes("kubectl"), *CHART)
NODE = (
    *CONTROL_PLANE,
    _kubernetes("kubelet"),
    _kubernetes("kube-proxy"),
    Tool(name="coredns", module="coredns", package="."),
    Tool(name="pause", module="pause", package="."),
    *CHART,
)
SCALE = (
    *CONTROL_PLANE,
    Tool(name="kwok", module="kwok", package="sigs.k8s.io/kwok/cmd/kwok"),
)
ALL = tuple(dict.fromkeys((*NODE, *SCALE)))
