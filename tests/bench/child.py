"""Runs one program as a process of its own and writes what it took: `child.py RESULT PROGRAM [ARGUMENT ...]`.

A process starts with the peak memory of the one that started it, so this starter is small and loads nothing else.
"""

import json
import os
import sys
import time

if __name__ == "__main__":
    result, program = sys.argv[1], sys.argv[2:]
    begun = time.perf_counter()
    _, status, usage = os.wait4(os.posix_spawn(program[0], program, os.environ), 0)
    wall = time.perf_counter() - begun
    with open(result, "w", encoding="utf-8") as file:  # noqa: PTH123  pathlib would be loaded for this alone
        facts = {
            "wall": wall,
            "cpu": usage.ru_utime + usage.ru_stime,
            "peak_mb": usage.ru_maxrss / 1024,
            "code": os.waitstatus_to_exitcode(status),
        }
        json.dump(facts, file)
