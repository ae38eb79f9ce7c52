"""Ledger first, then status, each only if it says something new, and neither without the Lease."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from tests.unit.cluster.memory_api import MemoryApi
from tests.unit.decide.worlds import Registry, World, spec

from pawl.api.errors import Conflict, LeaseLost
from pawl.api.imagepolicy import ImagePolicy, ImagePolicyStatus
from pawl.cluster.calls import Answer, Request
from pawl.cluster.ledgers import LedgerStore
from pawl.controllers.ledgerbook import LedgerBook
from pawl.controllers.queue import Key
from pawl.controllers.report import Reporter, status_patch
from pawl.controllers.store import PolicyStore, read_policy
from pawl.decide.policy import Decision

WEB = Key("ImagePolicy", "default", "web")
PATH = "/apis/pawl.dev/v1alpha1/namespaces/default/imagepolicies/web"
LEDGER = "/api/v1/namespaces/default/configmaps/pawl-ledger-web"


class Stage:
    """One policy in an API server in memory, and a reporter on it."""

    def __init__(self) -> None:
        self.api = MemoryApi()
        self.world = World(spec(), Registry.of("v1.0.0"))
        metadata = {"name": "web", "namespace": "default", "generation": 1}
        self.api.put(PATH, {"metadata": metadata, "spec": self.world.spec.wire()})
        self.events: list[tuple[str, str]] = []
        self.leads = True
        self.store = PolicyStore(lambda image: image)
        cluster = self.api.cluster(self.status)
        self.store.offer(self.raw, asked_at=1.0)
        self.reporter = Reporter(cluster, LedgerBook(LedgerStore(cluster)), self.store, self, self.guard)  # type: ignore[arg-type]

    async def status(self, request: Request) -> Answer | None:
        """The status subresource: the same object."""
        if request.subresource is None:
            return None
        return self.api.answer(msgspec.structs.replace(request, subresource=None))

    @property
    def raw(self) -> bytes:
        return json.dumps(self.api.objects[PATH]).encode()

    @property
    def policy(self) -> ImagePolicy:
        row = self.store.row(WEB)
        assert row is not None
        return read_policy(row.raw)

    def event(self, _ref: object, type_: str, reason: str, _message: str) -> None:
        self.events.append((type_, reason))

    def guard(self) -> int:
        if not self.leads:
            raise LeaseLost("gone")
        return 7

    async def report(self, decision: Decision) -> None:
        await self.reporter.report(WEB, self.policy, decision, 1.0)


@pytest.fixture
async def stage() -> Stage:
    return Stage()


async def test_ledger_then_status_then_events(stage: Stage) -> None:
    await stage.report(stage.world.step())
    assert [f"{request.verb} {request.right}" for request in stage.api.requests] == [
        "create configmaps",
        "patch imagepolicies",
    ]
    assert stage.api.objects[PATH]["status"]["selection"]["tag"] == "v1.0.0"
    assert stage.events == [("Normal", "Bootstrap")]
    assert stage.policy.status.selection is not None, "the answer to the write is kept"


async def test_nothing_new_is_nothing_written(stage: Stage) -> None:
    await stage.report(stage.world.step(minutes=0))
    stage.api.requests.clear()
    await stage.report(stage.world.step(minutes=5))
    assert stage.api.requests == []
    assert len(stage.events) == 1


async def test_without_a_selection_there_is_no_ledger(stage: Stage) -> None:
    stage.world.registry.tags.clear()
    await stage.report(stage.world.step())
    assert LEDGER not in stage.api.objects
    assert stage.api.objects[PATH]["status"]["conditions"][0]["reason"] == "NoTags"


async def test_without_the_lease_nothing_is_written(stage: Stage) -> None:
    stage.leads = False
    with pytest.raises(LeaseLost):
        await stage.report(stage.world.step())
    assert (stage.api.requests, stage.events) == ([], [])


async def test_a_lease_lost_between_ledger_and_status_stops_there(stage: Stage) -> None:
    """The ledger then has the later copy, and the next leader finds it."""
    answers = iter([7])
    stage.reporter._guard = lambda: next(answers, None) or stage.lost()
    with pytest.raises(LeaseLost):
        await stage.report(stage.world.step())
    assert LEDGER in stage.api.objects
    assert "status" not in stage.api.objects[PATH]


async def test_a_status_that_somebody_else_wrote_is_a_conflict_without_events(stage: Stage) -> None:
    decision = stage.world.step()
    stage.api.put(PATH, {**stage.api.objects[PATH], "spec": {"image": "other"}})
    with pytest.raises(Conflict):
        await stage.report(decision)
    assert stage.events == []
    assert "status" not in stage.api.objects[PATH]


def _lost(_stage: Stage) -> int:
    raise LeaseLost("gone")


Stage.lost = _lost  # type: ignore[attr-defined]


def status(**fields: Any) -> ImagePolicyStatus:
    return ImagePolicyStatus.model_validate(fields)


PATCHES = {
    "equal": (status(observedGeneration=1), status(observedGeneration=1), {}),
    "changed": (status(observedGeneration=1), status(observedGeneration=2), {"observedGeneration": 2}),
    "removed": (
        status(observedGeneration=1, lastHandledReconcileAt="x"),
        status(observedGeneration=1),
        {"lastHandledReconcileAt": None},
    ),
    "lists whole": (status(blocked=["a"]), status(blocked=["a", "b"]), {"blocked": ["a", "b"]}),
    "emptied": (status(blocked=["a"]), status(), {"blocked": []}),
}


@pytest.mark.parametrize(("before", "after", "wanted"), PATCHES.values(), ids=PATCHES.keys())
def test_the_patch_between_two_statuses(before: ImagePolicyStatus, after: ImagePolicyStatus, wanted: object) -> None:
    assert status_patch(before, after) == wanted
