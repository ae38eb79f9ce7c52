"""`pawl run` as a process, and what the kernel says it used."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

MIB = 1 << 20


@dataclass(frozen=True)
class Replica:
    """A running operator process."""

    process: subprocess.Popen[bytes]
    log: Path

    @property
    def cpu(self) -> float:
        """Seconds of CPU used so far, user and system."""
        times = psutil.Process(self.process.pid).cpu_times()
        return times.user + times.system

    @property
    def age(self) -> float:
        """Seconds since the process began."""
        return time.time() - psutil.Process(self.process.pid).create_time()

    def memory(self) -> tuple[float, float]:
        """Resident set now and at its peak, in MiB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        now, peak = (int(re.search(rf"{name}:\s+(\d+)", status)[1]) / 1024 for name in ("VmRSS", "VmHWM"))  # type: ignore[index]
        return now, peak

    def wait_for(self, text: str, seconds: float = 60) -> None:
        """Wait until the log holds a text."""
        end = time.monotonic() + seconds
        while text not in self.log.read_text():
            if self.process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"no {text!r} in {self.log}")
            time.sleep(0.02)

    def metric(self, pattern: str) -> float:
        """Sum of the samples whose line begins with a pattern."""
        port = re.search(r'"port": (\d+)', self.log.read_text())[1]  # type: ignore[index]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
            lines = answer.read().decode().splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if re.match(pattern, line))


@contextlib.contextmanager
def replica(environment: Mapping[str, str], log: Path, *arguments: str) -> Iterator[Replica]:
    """Run one operator; it is stopped at the end."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "pawl", "run", *arguments],
            env={**os.environ, **environment},
            stderr=output,
            stdout=output,
        )
    try:
        yield Replica(process, log)
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
