"""A hundred thousand tags in one repository: the decision alone, and the memory that it takes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from bench.rows import Row

SCRIPT = """
import gc, json, random, re, sys, time
from pawl.api.imagepolicy import ImagePolicySpec
from pawl.decide.shortlist import compile_rules, revision, shortlist

def rss(name):
    return int(re.search(name + r":\\s+(\\d+)", open("/proc/self/status").read())[1]) / 1024

random.seed(7)
spec = {"image": "r.example.com/a/b"} | json.loads(sys.argv[1])
kind = sys.argv[2]
make = {
    "semver": lambda i: f"v{i % 97}.{i % 1009}.{i}",
    "number": lambda i: str(i * 7919),
    "text": lambda i: f"b{i:09d}",
}
tags = [make[kind](i) for i in range(100_000)]
random.shuffle(tags)
rules = compile_rules(ImagePolicySpec.model_validate(spec))
shortlist(rules, tags[:1000])
gc.collect()
before, best = rss("VmRSS"), 1e9
for _ in range(5):
    begin = time.perf_counter()
    found = shortlist(rules, tags)
    best = min(best, time.perf_counter() - begin)
assert found.considered == 100_000 and found.candidates
print(json.dumps([best, rss("VmHWM") - before]))
"""

CASES = {
    "semver": {"select": {"semver": {"range": ">=1.0.0 <90.0.0"}}},
    "semver with include, extract and exclude": {
        "select": {"semver": {"range": ">=1.0.0 <90.0.0"}},
        "tags": {"include": "^v(?P<version>.+)$", "extract": "$version", "exclude": ["-rc"]},
    },
    "numerical": {"select": {"numerical": {"order": "Ascending"}}},
    "alphabetical": {"select": {"alphabetical": {"order": "Descending"}}},
}


def tags(_out: Path) -> list[Row]:
    """Decide on 100,000 tags for each strategy, each in a process of its own."""
    rows = []
    for name, spec in CASES.items():
        kind = {"n": "number", "a": "text"}.get(name[0], "semver")
        command = [sys.executable, "-c", SCRIPT, json.dumps(spec), kind]
        seconds, memory = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
        rows.append(Row(f"100,000 tags, {name}: decision", seconds, "s", 0.15))
        rows.append(Row("  memory on top", memory, "MiB", 25))
    return rows
