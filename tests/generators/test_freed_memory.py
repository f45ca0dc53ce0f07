# Copyright (c) monai_genaug contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import platform
import subprocess
import sys

import pytest

PROGRAM = """
import resource
import torch
from monai_genaug.generators.freed_memory import keep_freed_memory

def new_pages(n_blocks):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        blocks = [torch.ones(3, 2**18) for _ in range(n_blocks)]  # 3 MiB each, freed together
        del blocks
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

def new_pages_when(mib, n_blocks):
    keep_freed_memory("cpu", mib)
    new_pages(n_blocks)
    return new_pages(n_blocks)

print(new_pages(5), new_pages_when(64, 5), new_pages(40), new_pages_when(256, 40), new_pages_when(64, 40))
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="about the allocator of glibc")
def test_pages_are_taken_once() -> None:
    found = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    before, after, of_more, with_more, later = map(int, found.stdout.split())
    assert after < 0.1 * before
    assert with_more < 0.1 * of_more
    assert later < 0.1 * of_more  # asking for less lowers nothing


def test_other_devices_are_left_alone() -> None:
    program = "from monai_genaug.generators import freed_memory as f; f.keep_freed_memory('meta'); print(f._kept)"
    assert subprocess.check_output([sys.executable, "-c", program]).strip() == b"0"
