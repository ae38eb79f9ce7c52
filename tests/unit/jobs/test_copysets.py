"""Sets and spools of a copy: small, and right."""

from __future__ import annotations

import random
import tracemalloc

from hypothesis import given
from hypothesis import strategies as st

from pawl.jobs.copysets import Sizes, Spool

NAMES = st.sampled_from([f"sha256:{n:064x}" for n in range(40)])


@given(st.lists(st.tuples(st.sampled_from(["put", "drop"]), NAMES, st.integers(0, 2**62))))
def test_sizes_are_what_a_dict_would_be(steps: list[tuple[str, str, int]]) -> None:
    sizes, model = Sizes(), dict[str, int]()
    for step, name, number in steps:
        if step == "put":
            sizes.put(name, number)
            model[name] = number
        else:
            sizes.drop(name)
            model.pop(name, None)
        assert (len(sizes), sizes.total) == (len(model), sum(model.values()))
        assert (sizes.get(name), name in sizes) == (model.get(name), name in model)


@given(st.lists(st.text(st.characters(exclude_characters="\n", exclude_categories=("Cs",)))))
def test_a_spool_gives_back_its_lines_in_order(lines: list[str]) -> None:
    spool = Spool()
    for line in lines:
        spool.add(line)
    assert len(spool) == len(lines)
    assert list(spool) == lines


def test_many_names_take_few_megabytes() -> None:
    made = random.Random(1)
    tracemalloc.start()
    sizes, spool = Sizes(), Spool()
    for _ in range(20_000):
        name = f"sha256:{made.getrandbits(256):064x}"
        sizes.put(name, 4096)
        spool.add(f"{name} 4096")
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert held < 7 << 20, "some 300 bytes a name while shelves fill, and far less beyond"
    assert sum(1 for _ in spool) == 20_000
