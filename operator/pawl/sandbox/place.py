"""Names inside one sandbox: directories, files, ports, binaries. Pure; what argument lists are made of."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from pathlib import Path

from pawl.sandbox.ports import LOOPBACK, SERVICE_RANGE


@dataclass(frozen=True)
class Ports:
    """Ports of one sandbox; `dns` only where there are real nodes, `minio` only where it is asked for."""

    api: int
    etcd: int
    etcd_peer: int
    registry: int
    dns: int = 0
    minio: int = 0


@dataclass(frozen=True)
class Place:
    """Where one sandbox lives."""

    name: str
    directory: Path
    binaries: Path
    ports: Ports
    host: str = LOOPBACK
    """Address of the API server and the registry: the bridge's where real nodes must reach them."""
    services: str = SERVICE_RANGE

    @property
    def server(self) -> str:
        """URL of the API server."""
        return f"https://{self.host}:{self.ports.api}"

    @property
    def kubernetes(self) -> str:
        """ClusterIP of the Service default/kubernetes: the first of the range."""
        return str(ipaddress.IPv4Network(self.services)[1])

    @property
    def etcd(self) -> str:
        """URL that the API server uses for etcd."""
        return f"https://{LOOPBACK}:{self.ports.etcd}"

    @property
    def registry(self) -> str:
        """`host:port` of the registry, as it stands in image references."""
        return f"{self.host}:{self.ports.registry}"

    @property
    def minio(self) -> str:
        """`host:port` of MinIO."""
        return f"{self.host}:{self.ports.minio}"

    @property
    def minio_home(self) -> Path:
        """MinIO's keys and data."""
        return self.directory / "minio"

    @property
    def context(self) -> str:
        """Name of the kubeconfig context; tests refuse contexts that do not look like this."""
        return f"pawl-sandbox-{self.name}"

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return self.directory / "kubeconfig"

    def binary(self, name: str) -> str:
        """Path of a binary."""
        return str(self.binaries / name)

    def has(self, name: str) -> bool:
        """Whether the directory of binaries holds `name`; a foreign one (KUBEBUILDER_ASSETS) may not."""
        return (self.binaries / name).exists()

    def pki(self, name: str) -> Path:
        """Path of a certificate, key or component's kubeconfig."""
        return self.directory / "pki" / name

    def log(self, role: str) -> Path:
        """Path of a process' log."""
        return self.directory / "logs" / f"{role}.log"
