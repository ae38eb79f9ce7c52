"""RegistryStorages that are wrong, each with a part of the answer; `registrystorage_samples` has those that are right.

Neighbours: the unit tests ask the JSON Schema and the models, the cluster tests the API server.
"""

from __future__ import annotations

from tests.unit.api.registrystorage_samples import access, bucket, filesystem, retention, service
from tests.unit.api.samples import Bad, Json

_REPLICAS = "several replicas write one store: set server.replicas to 1"
_ONE_STORE = "storage has one of filesystem and s3: keep one and remove the other"
_EXISTING = "an existing claim has its class already"
_ENDPOINT = "storage.s3.endpoint is http(s)://host[:port] such as http://minio:9000, without a path"
_PREFIX = "storage.s3.rootDirectory is a prefix such as team/registry"
_HOST = "access.host is host[:port] in lower case"
_TLS = "access.tls has one of selfSigned, secretRef, issuerRef, disabled"
_NODE_PORT = "access.service.nodePort is for type NodePort: set the type too, or remove nodePort"
_INGRESS = "access.service.ingress is for type Ingress"
_DNS = "an Ingress takes a DNS name and no address"
_PRESSURE = "pressure: expandAt is at most collectAt, and collectAt is below readOnlyAt"
_CRON = "collection.schedule has five cron fields"
_KEEP = "a rule of retention says what is kept: give keepTags, keepLast or keepYoungerThan"
_MAXIMUM = "expansion.maxSize is below storage.filesystem.size"
_IMAGE = "server.image is an image such as registry:3.1.1"
_REQUEST = "server.resources: no Pod may request more than its limit"
_SECRET: Json = {"secretRef": {"name": "tls"}}


def _times() -> tuple[Bad, ...]:
    """Bounds are the API server's alone; what is no duration at all, editors see too."""
    bounds = (
        (lambda found: {"server": {"drainTimeout": found}}, ("0s", "61m"), "server.drainTimeout is a duration"),
        (lambda found: access(users={"rotateEvery": found}), ("59m", "8761h"), "between 1h and 8760h"),
        (lambda found: {"collection": {"minimumAge": found}}, ("8761h",), "between 0s and 8760h"),
        (lambda found: {"collection": {"thawAfter": found}}, ("59s", "25h"), "between 1m and 24h"),
        (lambda found: retention(keepYoungerThan=found), ("0s", "87601h"), "; for ever is keepTags: ['.*']"),
        (lambda found: {"migration": {"rollbackWindow": found}}, ("8761h",), "migration.rollbackWindow is a duration"),
    )
    return tuple(
        Bad(f"{sentence} {found}", make(found), sentence, editor=found == "7d")
        for make, values, sentence in bounds
        for found in (*values, "7d")
    )


BAD: tuple[Bad, ...] = (
    Bad("two stores", {"storage": {"filesystem": {}, "s3": {"bucket": "images"}}}, _ONE_STORE),
    Bad("replicas", {"server": {"replicas": 2}}, _REPLICAS),
    Bad("replicas on a claim", {"server": {"replicas": 2}, **filesystem(accessMode="ReadWriteOnce")}, _REPLICAS),
    Bad("replicas on its claim", {"server": {"replicas": 2}, **filesystem()}, _REPLICAS),
    Bad("too many replicas", {"server": {"replicas": 21}, **bucket()}, "less than or equal to 20"),
    *(Bad(f"image {found!r}", {"server": {"image": found}}, _IMAGE) for found in ("a b", " a", "-a", "a\tb")),
    Bad(
        "request",
        {"server": {"resources": {"requests": {"cpu": "2", "memory": "1Gi"}, "limits": {"memory": "1023Mi"}}}},
        _REQUEST,
        editor=False,
    ),
    Bad("class of an existing claim", filesystem(existingClaim="data", storageClassName="fast"), _EXISTING),
    Bad("series of an existing claim", filesystem(existingClaim="data", series=1), _EXISTING),
    Bad("no size", filesystem(size="0"), "storage.filesystem.size is an amount of bytes", editor=False),
    Bad("milli", filesystem(size="500m"), "storage.filesystem.size is an amount of bytes", editor=False),
    Bad("a word as size", filesystem(size="big"), "should match"),
    Bad("a sign", filesystem(size="-1Gi"), "should match"),
    Bad("a quota", bucket(quota="1k"), "storage.s3.quota is an amount of bytes", editor=False),
    Bad("no bucket", {"storage": {"s3": {}}}, "spec.storage.s3.bucket: Required value"),
    Bad("a bucket in capitals", {"storage": {"s3": {"bucket": "Images"}}}, "should match"),
    *(
        Bad(f"endpoint {found!r}", bucket(endpoint=found), _ENDPOINT)
        for found in (
            "minio:9000",
            "minio",
            "http://",
            "http://minio:9000/",
            "http://minio/images",
            "http://key:secret@minio:9000",
            "ftp://minio",
            "http://minio:x",
            "http://minio ",
            "http://minio?a=b",
            "s3://images",
        )
    ),
    *(
        Bad(f"prefix {found!r}", bucket(rootDirectory=found), _PREFIX)
        for found in ("/a", "a/", "a//b", "/", "..", "a/../b", "a/.", ".pawl")
    ),
    Bad("largest size", {"expansion": {"maxSize": "99Gi"}}, _MAXIMUM, editor=False),
    Bad("size", {"expansion": {"maxSize": "1Ti"}, **filesystem(size="1025Gi")}, _MAXIMUM, editor=False),
    *(
        Bad(f"host {found!r}", access(host=found), _HOST)
        for found in (
            "registry",
            "Registry.example.com",
            "r.io:",
            "r.io:port",
            "-r.io",
            "r..io",
            "[::1",
            "fd00::1",
            ":5000",
            "r.io:123456",
        )
    ),
    Bad("a host with a scheme", access(host="https://r.io"), "should match"),
    *(
        Bad(f"certificate {number}", access(tls=found), _TLS)
        for number, found in enumerate(
            (
                {"selfSigned": True, "disabled": True},
                {"selfSigned": True, **_SECRET},
                {**_SECRET, "issuerRef": {"name": "ca"}},
                {"issuerRef": {"name": "ca"}, "disabled": True},
                {"selfSigned": True, "disabled": True, **_SECRET},
            )
        )
    ),
    Bad("users of nobody", access(users={"disabled": True, **_SECRET}), "remove access.users.secretRef, or disabled"),
    Bad(
        "pull without what nobody has",
        access(users={"disabled": True}, anonymousPull=True),
        "access.anonymousPull has no meaning where nobody logs in",
        editor=False,
    ),
    Bad(
        "credentials of nobody",
        access(users={"disabled": True}, pullSecrets={}),
        "there are no credentials to hand out where nobody logs in",
        editor=False,
    ),
    *(
        Bad(f"node port of {kind}", access(host="r.io", **service(kind, nodePort=30500)), _NODE_PORT)
        for kind in ("ClusterIP", "LoadBalancer", "Ingress")
    ),
    Bad("node port of nothing", access(service={"nodePort": 30500}), _NODE_PORT),
    Bad("class of no Ingress", access(**service("NodePort", ingress={"className": "a"})), _INGRESS, editor=False),
    Bad("no Ingress", access(service={"ingress": {"annotations": {"a": "b"}}}), _INGRESS, editor=False),
    Bad("an Ingress without a host", access(**service("Ingress")), "an Ingress is found by its host"),
    *(
        Bad(f"an Ingress of {found}", access(host=found, **service("Ingress")), _DNS, editor=False)
        for found in ("10.0.0.1", "10.0.0.1:443", "[fd00::1]", "localhost", "registry:443")
    ),
    Bad(
        "the last port",
        access(anonymousPull=True, service={"port": 65535}),
        "one above access.service.port",
        editor=False,
    ),
    Bad("a port", access(service={"port": 65536}), "less than or equal to 65535"),
    *(
        Bad(f"pressure {found}", {"pressure": found}, _PRESSURE, editor=False)
        for found in (
            {"expandAt": 86},
            {"collectAt": 95},
            {"readOnlyAt": 85},
            {"expandAt": 90, "collectAt": 80, "readOnlyAt": 99},
        )
    ),
    Bad("more than all", {"pressure": {"readOnlyAt": 101}}, "less than or equal to 100"),
    *_times(),
    *(
        Bad(f"schedule {found}", {"collection": {"schedule": found}}, _CRON)
        for found in ("0 3 * *", "@daily", "0 3 * * * *")
    ),
    Bad("keep nothing said", {"retention": [{"repositories": ["**"]}]}, _KEEP),
    Bad("keep no tags", retention(keepTags=[]), _KEEP),
    Bad("keep in use alone", retention(keepInUse=True, keepUntagged=True), _KEEP),
    Bad("a pattern", retention(keepTags=["(v"]), "keepTags lists regular expressions in RE2 syntax", editor=False),
    Bad("look-around", retention(keepTags=["ok", "^(?!rc)"]), "without look-around", editor=False),
    Bad("no repositories", {"retention": [{"repositories": [], "keepLast": 1}]}, "should have at least 1 items"),
    Bad("a repository in capitals", {"retention": [{"repositories": ["Shop/*"], "keepLast": 1}]}, "should match"),
    Bad("an id", {"migration": {"deleteOldStore": "a b"}}, "migration.deleteOldStore is the id of a migration"),
    Bad(
        "a selector",
        access(pullSecrets={"namespaceSelector": {"matchExpressions": [{"key": "a", "operator": "In"}]}}),
        "the operators In and NotIn compare with values",
    ),
    Bad(
        "a selector of values",
        access(
            pullSecrets={
                "namespaceSelector": {"matchExpressions": [{"key": "a", "operator": "Exists", "values": ["b"]}]}
            }
        ),
        "the operators Exists and DoesNotExist look at the key alone",
    ),
    Bad(
        "a label",
        access(pullSecrets={"namespaceSelector": {"matchLabels": {"a b": "c"}}}),
        "a key of matchLabels is a label such as app",
    ),
    Bad("unknown field", {"storages": {}}, 'unknown field "spec.storages"'),
    Bad("unknown field below", filesystem(classname="a"), 'unknown field "spec.storage.filesystem.classname"'),
)
