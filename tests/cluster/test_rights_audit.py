"""What the audit proxy makes of refusals: the tests of rights believe it (`test_rights_used`). Not here: rights."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.cluster.api import Api
from tests.cluster.audit import auditing
from tests.cluster.grants import granted
from tests.cluster.operators import good

from pawl.api.errors import Forbidden
from pawl.cluster.client import Cluster as Client
from pawl.cluster.resources import CONFIG_MAPS, SERVICE_ACCOUNTS
from pawl.sandbox import Cluster

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(120)]


async def test_what_a_namespace_that_ends_refuses_is_no_missing_right(
    api: Api, cluster: Cluster, namespace: str, tmp_path: Path
) -> None:
    """Namespaces of earlier tests may still be going while an operator looks at what is in them."""
    place = f"api/v1/namespaces/{namespace}/configmaps"
    good(api.post(place, {"metadata": {"name": "stays", "finalizers": ["example.com/stays"]}}))
    good(api.delete(f"api/v1/namespaces/{namespace}"))
    try:
        with granted(cluster, api, tmp_path) as account, auditing(account.kubeconfig) as audit:
            async with await Client.connect(str(account.through(audit.url))) as client:
                for kind in (CONFIG_MAPS, SERVICE_ACCOUNTS):
                    with pytest.raises(Forbidden, match="may not create"):
                        await client.create(kind, namespace, {"metadata": {"name": "late"}})
        assert [one.right for one in audit.refused] == [("", "serviceaccounts", "create")]
        assert ("", "configmaps", "create") not in audit.rights
    finally:
        good(api.merge(f"{place}/stays", {"metadata": {"finalizers": None}}))
