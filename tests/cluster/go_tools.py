"""Which programs are built from Go modules, and how. Each module has its go.mod and go.sum in a folder of `go/`."""

from dataclasses import dataclass
from pathlib import Path

MODULES = Path(__file__).parent / "go"
KUBERNETES = "v1.34.4"
MINOR = KUBERNETES.split(".")[1]
HELM = "v3.22.0"
PROMETHEUS = "3.5.0"
KEDA = "2.21.0"


@dataclass(frozen=True, kw_only=True)
class Tool:
    """One program."""

    name: str
    module: str
    """Folder in `go/`. Tools share one where they want the same versions of everything below them."""
    package: str
    variables: tuple[str, ...] = ()
    """NAME=VALUE pairs for the linker, without which a program would not know its own version."""
    tags: tuple[str, ...] = ()
    """Build tags, to leave out what nobody needs here."""
    data: str = ""
    """A folder of the package's module that is kept as well, in the cache folder's `share/NAME`."""

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


def _prometheus(name: str) -> Tool:
    return Tool(
        name=name,
        module="prometheus",
        package=f"github.com/prometheus/prometheus/cmd/{name}",
        variables=(f"github.com/prometheus/common/version.Version={PROMETHEUS}",),
        tags=("remove_all_sd", "enable_kubernetes_sd"),  # the other ways of discovery are half of the build
    )


def _keda(name: str, command: str, *, data: str = "") -> Tool:
    return Tool(
        name=name,
        module="keda",
        package=f"github.com/kedacore/keda/v2/cmd/{command}",
        variables=(f"github.com/kedacore/keda/v2/version.Version={KEDA}",),
        data=data,
    )


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
CHART_CHECKS = (
    *CHART,
    _prometheus("promtool"),
    Tool(name="kubeconform", module="kubeconform", package="github.com/yannh/kubeconform/cmd/kubeconform"),
    Tool(name="kube-score", module="kube-score", package="github.com/zegl/kube-score/cmd/kube-score"),
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
MONITORING = (
    _prometheus("prometheus"),
    Tool(
        name="prometheus-adapter",
        module="prometheus-adapter",
        package="sigs.k8s.io/prometheus-adapter/cmd/adapter",
    ),
)
NODE_WITH_MONITORING = (*NODE, *MONITORING)
KEDA_PROGRAMS = (_keda("keda", "operator", data="config"), _keda("keda-adapter", "adapter"))
NODE_WITH_KEDA = (*NODE_WITH_MONITORING, *KEDA_PROGRAMS)
SCALE = (
    *CONTROL_PLANE,
    Tool(name="kwok", module="kwok", package="sigs.k8s.io/kwok/cmd/kwok"),
)
ALL = tuple(dict.fromkeys((*CHART_CHECKS, *NODE_WITH_KEDA, *SCALE)))
