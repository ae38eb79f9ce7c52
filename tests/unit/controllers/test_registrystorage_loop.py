"""The loop of a registry: the memory is stored before anything is done, and whatever fails is looked at again."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from tests.unit.controllers.registry_doubles import NOW, Hands, registry

from pawl.api.errors import Conflict, Forbidden, Stalled
from pawl.api.reasons import Reason
from pawl.api.registrystorage import RegistryStorage
from pawl.api.registrystorage_status import StoreRef
from pawl.controllers.queue import Key
from pawl.controllers.registryapply import Done, Refusal
from pawl.controllers.registryfinish import PATIENCE, RegistryFinisher
from pawl.controllers.registrymarks import FINALIZER, LEAVE
from pawl.controllers.registrymetrics import RegistryMetrics
from pawl.controllers.registrystorage import DUE, GOING, SOON, RegistryParts, RegistryStorageController
from pawl.controllers.registrystore import RegistryStore
from pawl.decide.storagefacts import Memory

KEY = Key("RegistryStorage", "shop", "main")
PATH = "/apis/pawl.dev/v1alpha1/namespaces/shop/registrystorages/main"
STORE = StoreRef(id="s1", kind="Filesystem", claim="main-registry-s1", own_claim=True)


class Stage:
    """A controller whose parts note in which order they are called, and fail where they are told to."""

    def __init__(self, **failures: Exception) -> None:
        self.log: list[str] = []
        self.failures = failures
        self.done = Done()
        self.told: list[tuple[Refusal, ...]] = []
        self.hands, self.store = Hands(), RegistryStore()
        self.body = {"metadata": registry().metadata.wire(), "spec": {}}
        self.hands.api.put(PATH, self.body)
        self.store.offer(json.dumps(self.body).encode())
        self.metrics = RegistryMetrics(CollectorRegistry())
        self.due: timedelta | None = None
        self.controller = RegistryStorageController(self._parts())

    def _parts(self) -> RegistryParts:
        said: Any = self
        plans = SimpleNamespace(made=lambda *_: None, ask=self._note("ask"), forget=lambda _: None)
        proofs = SimpleNamespace(conditions=lambda *_: (), look=self._proved, forget=lambda _: None)
        return RegistryParts(
            cluster=self.hands.cluster,
            store=self.store,
            gatherer=said,
            book=SimpleNamespace(write=self._called("remember"), forget=self._note("forget")),  # type: ignore[arg-type]
            actor=said,
            plans=plans,  # type: ignore[arg-type]
            proofs=proofs,  # type: ignore[arg-type]
            reporter=said,
            finisher=RegistryFinisher(self.hands.cluster, self.store, self._release, self.hands.guard),
            metrics=self.metrics,
            guard=self.hands.guard,
            now=NOW.timestamp,
        )

    def _note(self, word: str) -> Callable[..., None]:
        def note(*_: Any) -> None:
            self.log.append(word)

        return note

    def _called(self, word: str) -> Callable[..., Any]:
        async def called(*_: Any) -> None:
            self._reach(word)

        return called

    def _reach(self, word: str) -> None:
        self.log.append(word)
        if word in self.failures:
            raise self.failures[word]

    async def gather(self, _key: Key, storage: RegistryStorage, _extra: Any) -> Any:
        self._reach("gather")
        gathered: Any = await self.hands.gathered(storage, memory=Memory(revision=1, store=STORE))
        access = SimpleNamespace(due=NOW + self.due if self.due is not None else None)
        return SimpleNamespace(storage=storage, facts=gathered.facts, access=access, meter=None)

    async def report(self, look: Any) -> bool:
        self.told.append(look.refused)
        self._reach("report")
        return True

    async def stall(self, _storage: Any, reason: Reason, message: str, _now: Any) -> None:
        self.log.append(f"stall {reason.value}: {message}")

    async def act(self, _gathered: Any, _want: Any) -> Done:
        self._reach("act")
        return self.done

    async def _proved(self, *_: Any) -> bool:
        self.log.append("prove")
        return False

    async def _release(self, _storage: Any) -> tuple[str, ...]:
        self._reach("release")
        return self.left

    left: tuple[str, ...] = ()


async def test_what_is_remembered_is_stored_before_anything_is_done() -> None:
    stage = Stage()
    await stage.controller.reconcile(KEY)
    assert stage.log == ["gather", "remember", "report", "act", "prove"]


@pytest.mark.parametrize("failing", ["remember", "report"])
async def test_nothing_is_done_where_the_memory_could_not_be_stored(failing: str) -> None:
    stage = Stage(**{failing: Conflict("somebody else was first")})
    assert await stage.controller.reconcile(KEY) == SOON
    assert "act" not in stage.log
    assert stage.log[-1] == "forget"
    assert [each.verb for each in stage.hands.api.requests if each.resource.plural == "registrystorages"] == ["get"]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (Forbidden("may not list pods"), "stall MissingRight: may not list pods"),
        (Stalled(Reason.LEDGER_INVALID, "no ledger"), "stall LedgerInvalid: no ledger"),
    ],
)
async def test_what_only_a_person_can_mend_is_said(error: Exception, said: str) -> None:
    stage = Stage(gather=error)
    assert (await stage.controller.reconcile(KEY) or 0) > 10
    assert stage.log == ["gather", said]


async def test_what_is_refused_is_told_at_the_next_look_and_that_comes_soon() -> None:
    stage = Stage()
    refusal = Refusal(Reason.REFUSED, "port is taken")
    stage.done.refused.append(refusal)
    wait = await stage.controller.reconcile(KEY)
    assert wait is not None
    assert wait <= 1.0
    await stage.controller.reconcile(KEY)
    assert stage.told == [(), (refusal,)]


async def test_what_must_go_first_is_looked_for_soon() -> None:
    stage = Stage()
    stage.done.waiting = "Job x must go first"
    wait = await stage.controller.reconcile(KEY)
    assert wait is not None
    assert wait <= GOING


async def test_a_certificate_that_is_overdue_makes_no_busy_loop() -> None:
    stage = Stage()
    stage.due = timedelta(days=-1)
    wait = await stage.controller.reconcile(KEY)
    assert wait is not None
    assert 1.0 <= wait <= DUE


async def test_one_that_is_gone_is_forgotten() -> None:
    stage = Stage()
    await stage.controller.reconcile(KEY)
    stage.store.drop(KEY)
    assert await stage.controller.reconcile(KEY) is None
    assert not [sample for family in stage.metrics.collect() for sample in family.samples]


def changed(stage: Stage, version: str = "900", **meta: Any) -> None:
    spec = {"access": {"pullSecrets": {}}}
    body = {"metadata": stage.body["metadata"] | meta | {"resourceVersion": version}, "spec": spec}
    stage.hands.api.objects[PATH] = body
    stage.store.offer(json.dumps(body).encode())


async def test_who_hands_credentials_out_is_marked_before() -> None:
    stage = Stage()
    changed(stage)
    assert await stage.controller.reconcile(KEY) == 0.0
    assert stage.log == []
    assert stage.hands.api.objects[PATH]["metadata"]["finalizers"] == [FINALIZER]


async def test_after_pawl_uninstall_no_finalizer_is_set_again() -> None:
    stage = Stage()
    changed(stage, annotations={LEAVE: "true"})
    await stage.controller.reconcile(KEY)
    assert not stage.hands.api.objects[PATH]["metadata"].get("finalizers")


@pytest.mark.parametrize(("left", "age", "goes"), [((), 0, True), (("ns: no",), 1, False), (("ns: no",), 999, True)])
async def test_what_was_handed_out_is_taken_back_and_nothing_hangs(left: tuple[str, ...], age: int, goes: bool) -> None:  # noqa: FBT001
    assert PATIENCE < 999
    stage = Stage()
    stage.left = left
    since = (NOW - timedelta(seconds=age)).isoformat()
    changed(stage, finalizers=[FINALIZER, "example.com/other"], deletionTimestamp=since)
    wait = await stage.controller.reconcile(KEY)
    assert stage.log == ["release"]
    assert (wait is None) is goes
    assert (stage.hands.api.objects[PATH]["metadata"]["finalizers"] == ["example.com/other"]) is goes
