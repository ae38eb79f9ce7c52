"""Which cluster the tests, benches and the demo get: the order of precedence, and the guard against foreign clusters.

    1. PAWL_KUBECONFIG       an existing cluster, only if its current context is a test context
    2. KUBEBUILDER_ASSETS    a control plane from a directory of ready binaries
    3. PAWL_PROVIDER=kind    a kind cluster in Docker
    4. otherwise             the embedded sandbox

Clusters of 2 to 4 are made for the caller and taken down at the end; the first is left as it was found.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import yaml

from pawl.api.errors import InputError
from pawl.sandbox.options import KIND, Running, Runtime, SandboxOptions
from pawl.sandbox.sandbox import running

TEST_CONTEXTS = ("pawl-sandbox-", "kind-")


@dataclass(frozen=True)
class Cluster:
    """A cluster that tests may write to. `source` is the variable or provider it came from; `notes`: what it lacks."""

    kubeconfig: Path
    context: str
    source: str
    registry: str | None
    env: Mapping[str, str]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Choice:
    """Where the cluster will come from: an existing kubeconfig, or options for a new sandbox."""

    source: str
    kubeconfig: Path | None = None
    options: SandboxOptions | None = None


def choose(environ: Mapping[str, str], options: SandboxOptions) -> Choice:
    """Apply the order of precedence. Pure. Raises InputError for an unknown `PAWL_PROVIDER`."""
    if path := environ.get("PAWL_KUBECONFIG"):
        return Choice("PAWL_KUBECONFIG", kubeconfig=Path(path))
    if assets := environ.get("KUBEBUILDER_ASSETS"):
        return Choice("KUBEBUILDER_ASSETS", options=replace(options, binaries=Path(assets)))
    wanted = environ.get("PAWL_PROVIDER", options.provider)
    if wanted not in {KIND, "embedded"}:
        raise InputError(f"PAWL_PROVIDER={wanted!r}: use embedded or kind")
    return Choice(wanted, options=replace(options, provider=wanted))


def check_context(kubeconfig: Path, environ: Mapping[str, str]) -> str:
    """The current context of `kubeconfig`, if tests may write there.

    Raises InputError when the file cannot be read, or when its context is neither a sandbox, nor kind, nor the one that
    `PAWL_TEST_CONTEXT` names: tests delete things.
    """
    try:
        content = yaml.safe_load(kubeconfig.read_text())
        context = str(content["current-context"])
    except (OSError, yaml.YAMLError, KeyError, TypeError) as error:
        raise InputError(
            f"PAWL_KUBECONFIG {kubeconfig} names no current-context ({error}): unset it or mend it"
        ) from error
    if context.startswith(TEST_CONTEXTS) or (context and context == environ.get("PAWL_TEST_CONTEXT")):
        return context
    raise InputError(
        f"PAWL_KUBECONFIG {kubeconfig}: context {context!r} is no test cluster; "
        f"unset PAWL_KUBECONFIG, or set PAWL_TEST_CONTEXT={context} if tests may write there"
    )


@contextmanager
def cluster_for_tests(options: SandboxOptions, runtime: Runtime | None = None) -> Iterator[Cluster]:
    """The cluster that the environment asks for, for the time of a `with` block.

    Raises InputError for a foreign context or a bad variable, SandboxError when a new cluster cannot be started.
    """
    runtime = runtime or Runtime()
    choice = choose(runtime.environ, options)
    if choice.kubeconfig:
        yield _existing(choice.kubeconfig, runtime.environ)
    elif choice.options:
        with running(choice.options, runtime) as found:
            yield Cluster(
                found.kubeconfig, found.context, choice.source, found.registry, found.env, left_out(choice, found)
            )


def left_out(choice: Choice, found: Running) -> tuple[str, ...]:
    """Sentences on what was asked for and is not there."""
    options = choice.options
    if options is None:
        return ()
    notes = []
    if options.binaries:
        absent = [name for name in _PARTS if not (options.binaries / name).exists()]
        notes += [f"{options.binaries} holds no {name}: {_PARTS[name]}" for name in absent]
    elif options.registry and found.registry is None:
        notes.append("a kind cluster has no registry of the sandbox: push to one that its nodes can reach")
    return tuple(notes)


_PARTS: Mapping[str, str] = {
    "kube-controller-manager": "no Deployment, Job or garbage collection is worked on, and no ServiceAccount is made.",
    "kube-scheduler": "Pods stay unscheduled.",
    "kwok": "there are no simulated nodes.",
    "registry": "there is no registry.",
}


def _existing(kubeconfig: Path, environ: Mapping[str, str]) -> Cluster:
    context = check_context(kubeconfig, environ)
    env = {"KUBECONFIG": str(kubeconfig), "PAWL_KUBECONFIG": str(kubeconfig)}
    return Cluster(kubeconfig, context, "PAWL_KUBECONFIG", environ.get("PAWL_REGISTRY"), env)
