"""RegistryStorages that are right, and changes of them; `registrystorage_wrong` has those that are refused.

The unit tests ask the JSON Schema and the models, the cluster tests the API server; all agree wherever they can.
"""

from __future__ import annotations

from tests.unit.api.samples import Json

KIND = "RegistryStorage"

DESIGN_EXAMPLE = """
apiVersion: pawl.dev/v1alpha1
kind: RegistryStorage
metadata: {name: main}
spec:
  server: {image: 'registry:3.1.1', replicas: 1, resources: {requests: {memory: 256Mi}}}
  storage: {filesystem: {size: 100Gi, storageClassName: local}}
  expansion: {step: 20, maxSize: 1Ti}
  pressure: {expandAt: 80, collectAt: 85, readOnlyAt: 95}
  access:
    tls: {selfSigned: true}
    users: {secretRef: {name: builders}}
    anonymousPull: false
    host: registry.corp:30500
    service: {type: NodePort, nodePort: 30500}
    pullSecrets: {namespaceSelector: {matchLabels: {shop: "yes"}}}
    nodeTrust: false
  collection: {schedule: '0 3 * * *', maxDeletePercent: 30, dryRun: false}
  retention: [{repositories: ['shop/*'], keepTags: ['^v'], keepLast: 10, keepYoungerThan: 720h, keepInUse: true}]
  migration: {rollbackWindow: 72h, verify: Deep}
  readOnly: false
"""
"""As it is written down for users."""


def registry(spec: Json, name: str = "main") -> Json:
    return {"apiVersion": "pawl.dev/v1alpha1", "kind": KIND, "metadata": {"name": name}, "spec": spec}


def filesystem(**fields: object) -> Json:
    return {"storage": {"filesystem": fields}}


def bucket(**fields: object) -> Json:
    return {"storage": {"s3": {"bucket": "images", **fields}}}


def access(**fields: object) -> Json:
    return {"access": fields}


def service(kind: str, **fields: object) -> Json:
    return {"service": {"type": kind, **fields}}


def retention(**fields: object) -> Json:
    return {"retention": [{"repositories": ["**"], **fields}]}


FULL: Json = {
    "suspend": True,
    "server": {
        "image": "registry.corp:5000/library/registry:3.1.1@sha256:" + "a" * 64,
        "replicas": 3,
        "resources": {"requests": {"cpu": "500m", "memory": "1Gi"}, "limits": {"memory": "1024Mi"}},
        "drainTimeout": "1h",
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "tolerations": [{"key": "storage", "operator": "Exists", "effect": "NoSchedule"}],
    },
    "storage": {
        "s3": {
            "endpoint": "https://minio.storage.svc:9000",
            "bucket": "images",
            "region": "eu-central-1",
            "rootDirectory": "team/registry",
            "credentialsSecretRef": {"name": "minio"},
            "caSecretRef": {"name": "minio-ca"},
            "forcePathStyle": False,
            "chunkSize": 5120,
            "copyConcurrency": 100,
            "quota": "2Ti",
        }
    },
    "expansion": {"step": 100, "maxSize": "1Ti"},
    "pressure": {"expandAt": 1, "collectAt": 1, "readOnlyAt": 2},
    "access": {
        "host": "registry.example.com:443",
        "tls": {"issuerRef": {"name": "letsencrypt", "kind": "ClusterIssuer"}},
        "users": {"secretRef": {"name": "people"}, "rotateEvery": "8760h"},
        "anonymousPull": True,
        "service": {
            "type": "Ingress",
            "port": 65534,
            "annotations": {"a.example.com/b": "c"},
            "ingress": {"className": "nginx", "annotations": {"d": "e"}},
        },
        "pullSecrets": {
            "namespaceSelector": {"matchExpressions": [{"key": "tier", "operator": "In", "values": ["a", "b"]}]},
            "name": "registry",
        },
        "nodeTrust": True,
    },
    "collection": {
        "schedule": "*/5 0-6 1,15 JAN MON-FRI",
        "dryRun": True,
        "maxDeletePercent": 100,
        "minimumAge": "0s",
        "thawAfter": "24h",
        "acceptPartialView": True,
    },
    "retention": [
        {
            "repositories": ["shop/*", "team/**", "a?b"],
            "keepTags": ["^v[0-9]+$", "(?i)release"],
            "keepLast": 100_000,
            "keepYoungerThan": "87600h",
            "keepInUse": False,
            "keepUntagged": True,
        },
        {"repositories": ["**"], "keepLast": 0},
    ],
    "migration": {"rollbackWindow": "0s", "verify": "Graph", "parallel": 32, "deleteOldStore": "0123abcXYZ"},
    "readOnly": True,
}

HOSTS = (
    "localhost",
    "localhost:5000",
    "registry.example.com",
    "registry.corp:30500",
    "registry:5000",
    "10.0.0.1",
    "10.0.0.1:30500",
    "[fd00::1]",
    "[fd00::1]:5000",
)
ENDPOINTS = ("", "http://minio:9000", "https://s3.example.com", "http://10.0.0.1:9000", "https://[fd00::1]:9000")

GOOD: dict[str, Json] = {
    "nothing": {},
    "empty parts": {
        "server": {},
        "storage": {},
        "expansion": {},
        "pressure": {},
        "access": {"tls": {}, "users": {}, "service": {}, "pullSecrets": {}},
        "collection": {},
        "retention": [],
        "migration": {},
    },
    "everything": FULL,
    "a claim": filesystem(size="10Gi", storageClassName="fast", series=7, accessMode="ReadWriteOncePod"),
    "an existing claim": filesystem(existingClaim="data"),
    "a small claim": filesystem(size="1Mi"),
    "a bucket": bucket(),
    **{f"endpoint {found!r}": bucket(endpoint=found) for found in ENDPOINTS},
    **{f"prefix {found!r}": bucket(rootDirectory=found) for found in ("", "a", "a/b-c/d_e", "v1.2/x")},
    "replicas on a bucket": {"server": {"replicas": 20}, **bucket()},
    "replicas on one claim": {"server": {"replicas": 2}, **filesystem(accessMode="ReadWriteMany")},
    "largest size": {"expansion": {"maxSize": "100Gi"}},
    "largest size of a claim": {"expansion": {"maxSize": "1Ti"}, **filesystem(size="1024Gi")},
    "largest size beside a claim that is there": {"expansion": {"maxSize": "1Gi"}, **filesystem(existingClaim="data")},
    **{f"host {found}": access(host=found) for found in HOSTS},
    "self-signed": access(tls={"selfSigned": True}),
    "a certificate": access(tls={"secretRef": {"name": "tls"}, "selfSigned": False}),
    "an issuer": access(tls={"issuerRef": {"name": "ca"}}),
    "plain HTTP": access(tls={"disabled": True}),
    "nobody logs in": access(users={"disabled": True}),
    "a node port": access(**service("NodePort", nodePort=30500)),
    "any node port": access(**service("NodePort")),
    "a balancer": access(**service("LoadBalancer", port=443, annotations={"a": "b"})),
    "an Ingress": access(host="registry.example.com", **service("Ingress")),
    "no options of an Ingress": access(**service("ClusterIP", ingress={})),
    **{f"drainTimeout {found}": {"server": {"drainTimeout": found}} for found in ("1s", "60m")},
    **{f"rotateEvery {found}": access(users={"rotateEvery": found}) for found in ("1h", "8760h")},
    **{f"minimumAge {found}": {"collection": {"minimumAge": found}} for found in ("0s", "8760h")},
    **{f"thawAfter {found}": {"collection": {"thawAfter": found}} for found in ("1m", "24h")},
    **{f"rollbackWindow {found}": {"migration": {"rollbackWindow": found}} for found in ("0s", "8760h")},
    **{f"keep {field}": retention(**{field: found}) for field, found in (("keepTags", ["."]), ("keepLast", 0))},
    "keep young ones": retention(keepYoungerThan="1s"),
}

GOOD_NAMES = ("a", "main", "a-1", "x" * 32)
BAD_NAMES = ("1a", "-a", "a.b", "x" * 33)

SHRUNK = "a claim never shrinks: leave storage.filesystem.size as it was"

CHANGES: tuple[tuple[str, Json, Json, bool], ...] = (
    ("grows", filesystem(size="1Gi"), filesystem(size="2Gi"), True),
    ("is written otherwise", filesystem(size="1Gi"), filesystem(size="1024Mi"), True),
    ("shrinks", filesystem(size="2Gi"), filesystem(size="1Gi"), False),
    ("shrinks below the default", {}, filesystem(size="99Gi"), False),
    ("shrinks from the default of an empty storage", {"storage": {}}, filesystem(size="99Gi"), False),
    ("shrinks to the default", filesystem(size="200Gi"), {}, False),
    ("is given as it was", {}, filesystem(), True),
    ("shrinks as another series", filesystem(size="2Gi"), filesystem(size="1Gi", series=1), True),
    ("shrinks as another class", filesystem(size="2Gi"), filesystem(size="1Gi", storageClassName="b"), True),
    ("shrinks as another mode", filesystem(size="2Gi"), filesystem(size="1Gi", accessMode="ReadWriteMany"), True),
    (
        "shrinks within a class",
        filesystem(size="2Gi", storageClassName="b"),
        filesystem(size="1Gi", storageClassName="b"),
        False,
    ),
    ("shrinks within a series", filesystem(size="2Gi", series=1), filesystem(size="1Gi", series=1), False),
    ("shrinks to an existing claim", filesystem(size="2Gi"), filesystem(size="1Gi", existingClaim="a"), True),
    ("shrinks from an existing claim", filesystem(size="2Gi", existingClaim="a"), filesystem(size="1Gi"), True),
    ("shrinks on its way to a bucket", filesystem(size="2Gi"), bucket(), True),
    ("shrinks on its way from a bucket", bucket(), filesystem(size="1Gi"), True),
)
"""What is changed, from which spec, to which spec, and whether it may be."""
