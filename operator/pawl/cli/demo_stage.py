"""Where the demo plays: sandbox, registry, proxy, replicas, kubectl, and the questions that can be put to them.

Everything that is said of the world is asked here, from the real API server and the real registry.
Neighbours: `demo_acts` plays on it, `demo_crew` holds the processes. Not here: what should be true.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Final

import aiohttp

from pawl.api.errors import SandboxError
from pawl.api.imagepolicy import ImagePolicy
from pawl.api.meta import REQUESTED_AT
from pawl.cli.demo_checks import Check, CheckFailedError, expect, until
from pawl.cli.demo_crew import Crew
from pawl.cli.demo_manifests import NAME, NAMESPACE, REPOSITORY
from pawl.cli.demo_registry_wish import IMAGE
from pawl.cluster.client import Cluster
from pawl.cluster.leaserecord import Record, decode
from pawl.cluster.ledgers import LedgerStore
from pawl.cluster.resources import EVENTS, IMAGE_POLICIES, LEASES
from pawl.sandbox.images import Image, Pusher
from pawl.sandbox.options import Running
from pawl.sandbox.processes import Process, is_alive

SYSTEM: Final = "pawl-system"
LEASE: Final = "pawl"
ROUND: Final = 15.0
"""Seconds for one run of the operator: the annotation acts within one, the rest is for a busy machine."""


@dataclass(frozen=True, slots=True)
class Answer:
    """How a command ended."""

    code: int
    out: str
    err: str


async def answer_of(*argv: str, stdin: str = "") -> Answer:
    """Run a command to its end; white space in what it says is made single."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*argv, stdin=pipe, stdout=pipe, stderr=pipe)
    out, err = await process.communicate(stdin.encode())
    return Answer(process.returncode or 0, " ".join(out.decode().split()), " ".join(err.decode().split()))


@dataclass
class Stage:
    """One play. `replicas` holds the living ones; `proxy` is `host:port` of the registry as the policy sees it."""

    sandbox: Running
    crew: Crew
    cluster: Cluster
    proxy: str = ""
    replicas: list[Process] = field(default_factory=list)
    _round: count[int] = field(default_factory=lambda: count(1))

    async def kubectl(self, *arguments: str, stdin: str = "") -> Answer:
        """Run kubectl as the sandbox's administrator."""
        place = ("--kubeconfig", str(self.sandbox.kubeconfig))
        return await answer_of(self.sandbox.env["KUBECTL"], *place, *arguments, stdin=stdin)

    async def apply(self, manifest: str) -> str:
        """`kubectl apply` a manifest and return what kubectl says. Raises CheckFailedError where it is refused."""
        answer = await self.kubectl("apply", "-f", "-", stdin=manifest)
        expect(answer.code == 0, "kubectl apply to be accepted", answer.err)
        return answer.out

    def start_proxy(self) -> None:
        """Put the proxy in front of the registry. Raises SandboxError where the sandbox has none."""
        if not self.sandbox.registry:
            raise SandboxError(f"sandbox {self.sandbox.name} has no registry; unset KUBEBUILDER_ASSETS")
        port = self.crew.free_port()
        self.crew.start("proxy", "-m", "pawl.cli.demo_proxy", str(port), self.sandbox.registry)
        self.proxy = f"127.0.0.1:{port}"

    def start_replica(self, role: str) -> None:
        """Start one replica of the operator, as a user would."""
        kubeconfig = str(self.sandbox.kubeconfig)
        plain = ("--plain-http-hosts", self.sandbox.registry or "", "--image", IMAGE)
        place = ("--namespace", SYSTEM, "--kubeconfig", kubeconfig)
        process = self.crew.start(role, "-m", "pawl", "run", *place, *plain)
        self.replicas.append(process)

    async def push(self, tag: str) -> str:
        """Push a real image and return its digest. Raises SandboxError."""
        return await asyncio.to_thread(self._push, tag)

    def _push(self, tag: str) -> str:
        with Pusher(self.sandbox.registry or "") as pusher:
            return pusher.push(Image(REPOSITORY, tag, "pawl demo", ("linux/amd64", "linux/arm64")))

    async def registry_says(self, mode: str) -> None:
        """Tell the proxy how to answer from now on: half or whole."""
        await self._http("PUT", f"/demo/{mode}")

    async def lists_cut(self) -> int:
        """How many tag lists the proxy has cut so far."""
        return int((await self._http("GET", "/demo"))["cut"])

    async def listed(self) -> list[str]:
        """The tags as the policy's registry lists them now."""
        return list((await self._http("GET", f"/v2/{REPOSITORY}/tags/list")).get("tags") or [])

    async def _http(self, method: str, path: str) -> dict[str, Any]:
        timeout = aiohttp.ClientTimeout(total=5)
        try:
            async with aiohttp.request(method, f"http://{self.proxy}{path}", timeout=timeout) as reply:
                found: dict[str, Any] = await reply.json()
                return found
        except (aiohttp.ClientError, TimeoutError) as error:
            raise CheckFailedError(f"expected the proxy {self.proxy} to answer {method} {path}; saw {error}") from error

    async def proxy_answers(self) -> bool:
        """Whether registry and proxy speak."""
        try:
            return await self._http("GET", "/v2/") == {}
        except CheckFailedError:
            return False

    async def kind_is_served(self) -> bool:
        """Whether ImagePolicies can be listed. Raises ClusterError where they cannot."""
        async for _ in self.cluster.list_pages(IMAGE_POLICIES, None, limit=1):
            break
        return True

    async def policy(self) -> ImagePolicy:
        """Read the policy from the API server. Raises ClusterError."""
        return ImagePolicy.model_validate_json(await self.cluster.get(IMAGE_POLICIES, NAMESPACE, NAME))

    async def ledger(self) -> str:
        """Read the text of the policy's ledger. Raises ClusterError."""
        return (await LedgerStore(self.cluster).read(NAMESPACE, NAME)).text or ""

    async def events(self, reason: str) -> list[str]:
        """The messages of the Events with this reason in the policy's namespace. Raises ClusterError."""
        pages = self.cluster.list_pages(EVENTS, NAMESPACE, field_selector=f"reason={reason}")
        return [str(event["message"]) async for page in pages for event in json.loads(page)["items"]]

    async def lease(self) -> Record:
        """Read the Lease. Raises ClusterError."""
        return decode(await self.cluster.get(LEASES, SYSTEM, LEASE))

    def leader(self, record: Record) -> Process | None:
        """The living replica that holds the Lease, by the process id in its identity; None for none of them."""
        holder = record.holder.split("_")
        found = (each for each in self.replicas if is_alive(each) and str(each.pid) in holder)
        return next(found, None)

    async def run_once(self) -> ImagePolicy:
        """Ask for a run by the annotation and wait until it was done and all of the spec was seen."""
        wish = f"demo-{next(self._round)}"
        note = f"{REQUESTED_AT}={wish}"
        answer = await self.kubectl("annotate", "--overwrite", "-n", NAMESPACE, f"imagepolicy/{NAME}", note)
        expect(answer.code == 0, "kubectl annotate to be accepted", answer.err)
        return await until(
            Check(f"the run {wish} to be done", ROUND, lambda found: _done(found, wish), seen), self.policy
        )


def _done(policy: ImagePolicy, wish: str) -> bool:
    status = policy.status
    return status.last_handled_reconcile_at == wish and status.observed_generation == policy.metadata.generation


def seen(policy: ImagePolicy) -> str:
    """What a policy's status says, in a line, for a check that failed."""
    held = policy.status.selection
    said = ", ".join(f"{c.type}={c.status} ({c.message})" for c in policy.status.conditions)
    where = f"{held.tag}, epoch {held.epoch}, sequence {held.sequence}" if held else "no selection"
    return f"{where}; {said or 'no conditions'}"
