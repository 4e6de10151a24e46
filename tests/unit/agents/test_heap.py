"""One arena for all threads, asked of the C library itself, in a process of its own: it cannot be undone."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

COUNT_ARENAS = """
import ctypes, sys, tempfile, threading
from agents.heap import use_one_heap

if "limited" in sys.argv:
    assert use_one_heap()
gate = threading.Barrier(9)


def fill() -> None:
    kept = [bytes(4_000) for _ in range(100)]
    gate.wait()
    gate.wait()
    assert len(kept) == 100


for _ in range(8):
    threading.Thread(target=fill).start()
gate.wait()
libc = ctypes.CDLL(None)
libc.fopen.restype = ctypes.c_void_p
with tempfile.NamedTemporaryFile("r") as told:
    file = libc.fopen(told.name.encode(), b"w")
    libc.malloc_info(0, ctypes.c_void_p(file))
    libc.fclose(ctypes.c_void_p(file))
    print(told.read().count("<heap "))
gate.wait()
"""


def arenas(*arguments: str) -> int:
    command = [sys.executable, "-c", COUNT_ARENAS, *arguments]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return int(run.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries have no arenas")
def test_threads_share_one_arena() -> None:
    assert arenas("limited") == 1
    assert arenas() > 1


GIVE_BACK = """
import os
from agents.heap import give_back, use_one_heap

use_one_heap()


def resident() -> int:
    with open("/proc/self/statm") as told:
        return int(told.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


kept = [bytes(4_000) for _ in range(50_000)]
del kept[::2], kept[::2], kept[::2]
before = resident()
assert give_back()
print(before - resident(), sum(map(len, kept)))
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries give back by themselves")
def test_what_is_free_between_what_is_kept_is_given_back() -> None:
    run = subprocess.run(
        [sys.executable, "-c", GIVE_BACK], capture_output=True, text=True, timeout=60, check=True
    )
    given, kept = map(int, run.stdout.split())
    assert kept < 26_000_000
    # 175 MB were freed; pages that hold a kept piece stay.
    assert given > 100_000_000
