"""What a user writes into an ImageOverride or a ClusterImageOverride.

Neighbours: `api.imageoverride_rollout` holds how running things follow, `api.imageoverride_status` is Pawl's half,
`api.imageoverride` joins them; `api.imageoverride_rules` holds what the fields must be together.
Not here: how references match (`decide.sources`).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from pawl.api.imageoverride_rollout import Enforcement, Rollout
from pawl.api.meta import Digest, Duration, LocalRef, Model, Name, Namespace, Tag, list_type

Source = Annotated[str, StringConstraints(min_length=1, max_length=255)]
"""host[:port][/path], or *.example.com. The grammar stands in `api.imageoverride_rules`, with sentences."""

ContainerGlob = Annotated[str, StringConstraints(min_length=1, max_length=63, pattern=r"^[a-z0-9*?-]+$")]
"""The name of a container; `*` stands for any characters, `?` for one."""

TargetRepository = Annotated[str, StringConstraints(min_length=1, max_length=255)]
"""host[:port][/path], without tag, digest and scheme. The grammar stands in `api.imageoverride_rules`."""

LabelKey = Annotated[
    str, StringConstraints(min_length=1, max_length=317, pattern=r"^([a-z0-9.-]+/)?[A-Za-z0-9]([A-Za-z0-9._-]*)$")
]
LabelValue = Annotated[str, StringConstraints(max_length=63, pattern=r"^([A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?)?$")]


class Operator(StrEnum):
    """How a label is compared, as in `metav1.LabelSelectorRequirement`."""

    IN = "In"
    NOT_IN = "NotIn"
    EXISTS = "Exists"
    DOES_NOT_EXIST = "DoesNotExist"


class Requirement(Model):
    """One comparison of a label."""

    key: LabelKey = Field(description="The label.")
    operator: Operator = Field(description="In, NotIn, Exists or DoesNotExist.")
    values: Annotated[list[LabelValue], Field(max_length=32)] = Field(
        default_factory=list, description="For In and NotIn.", json_schema_extra=list_type("atomic")
    )


class LabelSelector(Model):
    """Selects by labels; all that is said must hold, and nothing said selects everything."""

    match_labels: Annotated[dict[LabelKey, LabelValue], Field(max_length=16)] = Field(
        default_factory=dict, description="Labels that must have these values."
    )
    match_expressions: Annotated[list[Requirement], Field(max_length=16)] = Field(
        default_factory=list, description="Comparisons that must hold.", json_schema_extra=list_type("atomic")
    )


class Namespaces(Model):
    """Which namespaces a ClusterImageOverride covers."""

    selector: LabelSelector = Field(
        default_factory=LabelSelector, description="By the labels of the namespace; kubernetes.io/metadata.name is one."
    )


class WorkloadKind(StrEnum):
    """What a Pod belongs to. Pod: it stands alone or belongs to something else, such as a custom resource."""

    DEPLOYMENT = "Deployment"
    STATEFUL_SET = "StatefulSet"
    DAEMON_SET = "DaemonSet"
    JOB = "Job"
    CRON_JOB = "CronJob"
    POD = "Pod"


class Workloads(Model):
    """Which Pods an override covers; nothing said means all."""

    selector: LabelSelector = Field(
        default_factory=LabelSelector, description="By the labels of the Pod, which are those of the Pod template."
    )
    kinds: Annotated[list[WorkloadKind], Field(max_length=6)] = Field(
        default_factory=list,
        description="By what the Pod belongs to; empty means all. Job covers the Jobs of CronJobs too; CronJob covers "
        "only Jobs whose name ends like those that a CronJob makes.",
        json_schema_extra=list_type("set"),
    )


class PolicyRef(Model):
    """Names an ImagePolicy whose selection is the target."""

    name: Name = Field(description="Name of the ImagePolicy.")
    namespace: Namespace | None = Field(
        None, description="Its namespace. Required in a ClusterImageOverride; an ImageOverride has policies of its own."
    )


class Target(Model):
    """What an image becomes. Fields that are not given stay as they are."""

    repository: TargetRepository | None = Field(
        None,
        description="Replaces the matched source: host[:port]/path. A bare host replaces the host and keeps the path.",
    )
    tag: Tag | None = Field(None, description="The tag. Without `digest`, a digest of the original is dropped.")
    digest: Digest | None = Field(None, description="The digest. Without `tag`, a tag of the original is dropped.")
    policy_ref: PolicyRef | None = Field(
        None,
        description="Take tag and digest, and the repository if none is given, from the selection of an ImagePolicy. "
        "The rule is inactive while the policy has no selection.",
    )


class Rule(Model):
    """One rule: where an image comes from, and what it becomes."""

    source: Source = Field(
        description="host[:port][/path], matched at segment borders on the normalised reference "
        "(docker.io/library/nginx for nginx), or *.example.com for every host below, on any port."
    )
    containers: Annotated[list[ContainerGlob], Field(min_length=1, max_length=16)] = Field(
        default_factory=lambda: ["*"],
        description="Names of containers, with * and ?. Anything but * leaves image volumes alone.",
        json_schema_extra=list_type("set"),
    )
    target: Target = Field(description="What the image becomes. A target equal to the source is an exception.")


class SecretSource(Model):
    """A Secret in another namespace whose owner allows copies with the annotation pawl.dev/allow-copy-to."""

    namespace: Namespace = Field(description="Namespace of the Secret.")
    name: Name = Field(description="Name of the Secret.")


class PullSecret(Model):
    """A pull Secret that Pods get when a rule of this override decides one of their images."""

    name: Name = Field(description="Name of the Secret in the Pod's namespace, of type kubernetes.io/dockerconfigjson.")
    copy_from: SecretSource | None = Field(
        None, description="Copy it from here first. The source allows it: pawl.dev/allow-copy-to: 'shop,team-*'."
    )


class DeletionPolicy(StrEnum):
    """What happens to what an override changed, when it is deleted."""

    RESTORE = "Restore"
    LEAVE = "Leave"


class OverrideSpec(Model):
    """What the user wants, in both kinds."""

    suspend: bool = Field(
        default=False, description="Pause: what is rewritten at admission stays so, nothing else is touched."
    )
    priority: Annotated[int, Field(ge=-1000, le=1000)] = Field(
        0, description="Decides between rules with the same source; the greater wins."
    )
    workloads: Workloads = Field(default_factory=Workloads, description="Which Pods are covered; default all.")
    rules: Annotated[list[Rule], Field(min_length=1, max_length=1000)] = Field(
        description="The rules. The most specific source wins, then the priority of the override.",
        json_schema_extra=list_type("atomic"),
    )
    pull_secrets: Annotated[list[PullSecret], Field(max_length=8)] = Field(
        default_factory=list,
        description="Pull Secrets that the Pods get besides their own.",
        json_schema_extra=list_type("map", "name"),
    )
    ca_secret_ref: LocalRef | None = Field(
        None,
        description="Secret with a CA certificate under ca.crt, for Pawl's own look at the target registries. In this "
        "namespace; for a ClusterImageOverride in Pawl's.",
    )
    enforcement: Enforcement = Field(default_factory=Enforcement, description="Where images are rewritten.")
    rollout: Rollout = Field(default_factory=Rollout, description="How what runs already follows.")
    deletion_policy: DeletionPolicy = Field(
        DeletionPolicy.RESTORE,
        description="Restore: what Pawl changed gets its original back when this is deleted. Leave: it stays.",
    )
    restore_timeout: Duration = Field(
        "2m", description="After this the deletion goes on without what could not be restored, between 1s and 1h."
    )


class ImageOverrideSpec(OverrideSpec):
    """An override for the namespace that it stands in."""


class ClusterImageOverrideSpec(OverrideSpec):
    """An override for many namespaces."""

    namespaces: Namespaces | None = Field(
        None, description="Which namespaces are covered. Default: all, also new ones from their first Pod."
    )
    mandatory: bool = Field(
        default=False, description="Stands above all that are not mandatory, however specific their sources are."
    )


OverrideKind = Literal["ImageOverride", "ClusterImageOverride"]
