"""ImageRules and ClusterImageRules: the tables by which the gate rewrites, one a namespace and one for the cluster.

They are generated: `decide.tables` compiles all overrides that touch a namespace into one table there, and one for
every namespace that has none of its own. People read what holds where they live; the API server's admission policy and
the webhook interpret the same table. How it is interpreted:

1. An image is parsed and normalised (`decide.reference`); what cannot be parsed is left alone.
2. `candidates` of `host:port/a/b`, most specific first: `host:port/a/b`, `host:port/a`, `host:port`, then for a host
   `x.y.z`: `*.y.z`, `*.z` (the port left out; none for IPv6, addresses of IPv4 are cut at their dots like names).
3. The first entry whose conditions hold decides: in `mandatory` over all candidates first, then in `rules`. Lists hold
   entries in the order of precedence. No entry: the image is left alone.
4. The result is `to`, then what stood behind the matched source (behind host and port for `*.` sources); where that is
   `docker.io/x` without another slash, it is `docker.io/library/x`. Then the suffix: `tag` and `digest` of the entry if
   it has one of them, else those of the image. So a result is always in normalised form.
5. A result over 255 characters of host and path (the slash between them counts), one listed in `held` (with its
   suffix), one equal to the normalised image, and one of a Pod with any owner whose uid is in `exempt`, leave the image
   alone, as it was written.
6. After that the candidates of each final image, normalised, are looked up in `secrets`: every entry whose conditions
   hold adds its names to the Pod's imagePullSecrets, existing ones first, then in the order of the images (containers,
   initContainers, ephemeralContainers, image volumes), candidates and lists, no name twice. Only as a Pod is created;
   templates and ephemeral containers never get any. Images that no entry decided and owners in `exempt` count too: a
   child that arrives rewritten needs its Secret.
7. The entry that decides is found without looking at `pods` and `templates`; these say whether it is applied there.

Conditions of an entry, all of which must hold: `containers` (an RE2 pattern that is the name of the container as a
whole; absent: any, and only then image volumes), `kinds` (of what the Pod belongs to; absent: any), `labels` (every
requirement holds for the Pod's labels, as in the API server: NotIn holds for an absent label, values of Exists and
DoesNotExist are not read).
What a Pod belongs to is told by its controller owner: of the API group `apps` ReplicaSet and Deployment are Deployment,
StatefulSet and DaemonSet themselves; of `batch` a Job is Job, and CronJob too if its name matches `-[0-9]{8,}$` (an
entry of kind Job holds for both); everything else, and no controller, is Pod. A template belongs to its object in the
same way. Pods and templates with the label pawl.dev/ignore "true" are no matter of a table.
Not here: compilation.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field, StringConstraints

from pawl.api.imageoverride import ClusterObjectMeta
from pawl.api.imageoverride_spec import Requirement, WorkloadKind
from pawl.api.imagepolicy import ObjectMeta
from pawl.api.meta import Digest, Model, Name, Tag, list_type

TABLE_NAME: Final = "pawl"
"""Name of every table."""

MAX_TABLE_BYTES: Final = 1_000_000
"""A table is refused beyond this: etcd takes 1.5 MiB a request."""

MAX_KEYS: Final = 20_000
"""A map of a table has no more keys than this; its bytes run out first."""

Short = Annotated[str, StringConstraints(max_length=253)]
SourceKey = Annotated[str, StringConstraints(max_length=255)]


class Conditions(Model):
    """When an entry holds. What is absent holds always."""

    containers: Annotated[str, StringConstraints(min_length=1, max_length=2048)] | None = Field(
        None, description="RE2 pattern that the name of the container matches as a whole; then image volumes are out."
    )
    kinds: Annotated[list[WorkloadKind], Field(min_length=1, max_length=6)] | None = Field(
        None, description="What the Pod belongs to.", json_schema_extra=list_type("atomic")
    )
    labels: Annotated[list[Requirement], Field(min_length=1, max_length=32)] | None = Field(
        None, description="What must hold for the labels of the Pod.", json_schema_extra=list_type("atomic")
    )


class PolicyMark(Model):
    """Which selection of an ImagePolicy gave tag and digest: an older one never takes its place."""

    namespace: Short = Field(description="Namespace of the policy.")
    name: Short = Field(description="Its name.")
    uid: Short = Field("", description="Its uid: one made anew may begin anew.")
    image: Annotated[str, StringConstraints(max_length=255)] = Field(description="Its spec.image.")
    epoch: Annotated[int, Field(ge=1)] = Field(description="Epoch of the selection.")
    sequence: Annotated[int, Field(ge=1)] = Field(description="Sequence of the selection.")


class Entry(Conditions):
    """What becomes of images below one source."""

    to: Annotated[str, StringConstraints(min_length=1, max_length=255)] = Field(
        description="Takes the place of the source: host[:port][/path]."
    )
    tag: Tag | None = Field(None, description="The tag of the result.")
    digest: Digest | None = Field(None, description="The digest of the result.")
    policy: PolicyMark | None = Field(None, description="Where tag and digest come from, if from an ImagePolicy.")
    pods: bool = Field(default=True, description="Pods are rewritten at their admission.")
    templates: bool = Field(default=False, description="Templates of workloads are rewritten at their admission.")
    override: Annotated[str, StringConstraints(max_length=317)] = Field(
        description="Where it comes from: the name of a ClusterImageOverride, or namespace/name of an ImageOverride."
    )
    rule: Annotated[int, Field(ge=0, le=999)] = Field(description="Index of the rule in that override.")


class SecretEntry(Conditions):
    """Pull Secrets for Pods with images below one repository."""

    names: Annotated[list[Name], Field(min_length=1, max_length=8)] = Field(
        description="Names of Secrets.", json_schema_extra=list_type("atomic")
    )


Entries = Annotated[list[Entry], Field(min_length=1, max_length=1000, json_schema_extra=list_type("atomic"))]
Secrets = Annotated[list[SecretEntry], Field(min_length=1, max_length=1000, json_schema_extra=list_type("atomic"))]
Note = Annotated[str, StringConstraints(max_length=512)]


class Table(Model):
    """What holds: see the module for how it is read."""

    mandatory: Annotated[dict[SourceKey, Entries], Field(max_length=MAX_KEYS)] = Field(
        default_factory=dict, description="Entries of mandatory overrides, by source."
    )
    rules: Annotated[dict[SourceKey, Entries], Field(max_length=MAX_KEYS)] = Field(
        default_factory=dict, description="All other entries, by source."
    )
    secrets: Annotated[dict[SourceKey, Secrets], Field(max_length=MAX_KEYS)] = Field(
        default_factory=dict, description="Pull Secrets by the repository, or a part of it, of the final image."
    )
    held: Annotated[dict[Annotated[str, StringConstraints(max_length=512)], Note], Field(max_length=MAX_KEYS)] = Field(
        default_factory=dict, description="Results that are not used, with the reason: a target was not found."
    )
    hosts: Annotated[dict[Short, bool], Field(max_length=MAX_KEYS)] | None = Field(
        None,
        description="Hosts of all sources in lower case, * for those with wildcards: a Pod without an image of any, "
        "that lacks none of `gives`, is left alone without further work. Absent: every Pod is looked at.",
    )
    gives: Annotated[list[Name], Field(max_length=1000)] | None = Field(
        None, description="All names under `secrets`.", json_schema_extra=list_type("atomic")
    )
    exempt: Annotated[dict[Short, Note], Field(max_length=MAX_KEYS)] = Field(
        default_factory=dict, description="uids of owners whose Pods are left alone, with override@generation."
    )


class ClusterTable(Table):
    """The table for namespaces without one of their own."""

    own: Annotated[dict[Short, bool], Field(max_length=MAX_KEYS)] = Field(
        default_factory=dict, description="Namespaces that have a table of their own; this one does not hold there."
    )


class ImageRules(Model):
    """What holds in one namespace, compiled by Pawl from all overrides; the gate reads it. Do not edit."""

    api_version: Literal["pawl.dev/v1alpha1"] = "pawl.dev/v1alpha1"
    kind: Literal["ImageRules"] = "ImageRules"
    metadata: ObjectMeta
    spec: Table


class ClusterImageRules(Model):
    """What holds in namespaces without ImageRules, compiled by Pawl from all overrides; the gate reads it."""

    api_version: Literal["pawl.dev/v1alpha1"] = "pawl.dev/v1alpha1"
    kind: Literal["ClusterImageRules"] = "ClusterImageRules"
    metadata: ClusterObjectMeta
    spec: ClusterTable
