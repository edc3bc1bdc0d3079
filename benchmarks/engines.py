"""Ray and Dask beside each other on a local cluster of two workers.

    pip install ray distributed
    python -m benchmarks.engines

Start-up, overhead of a task that takes 20 ms, memory of all the processes, and what a killed worker costs.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

TASKS, SPIN = 300, 0.02
KILL_AFTER = 10


def work(number: int, spin: float) -> tuple[int, int]:
    """A task that computes for a while, and who did it."""
    end = time.perf_counter() + spin
    while time.perf_counter() < end:
        pass
    return number, os.getpid()


def family(root: int) -> list[int]:
    """A process and all that descend from it."""
    children: dict[int, list[int]] = defaultdict(list)
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        except OSError:
            continue
        children[int(fields[1])].append(int(path.parent.name))
    found, todo = [], [root]
    while todo:
        found.append(todo.pop())
        todo += children[found[-1]]
    return found


def megabytes(pids: list[int]) -> float:
    """Memory of processes, what they share counted once."""
    total = 0
    for pid in pids:
        try:
            text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
        except OSError:
            continue
        total += int(text.split("\nPss:")[1].split()[0])
    return total / 1024


def dask() -> tuple[Callable[[int], Any], Callable[[], Iterator[Any]], Callable[[], None]]:
    """Submit, take what is ready, close."""
    from distributed import Client, LocalCluster, as_completed

    cluster = LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None)
    client = Client(cluster)
    done = as_completed()

    def submit(number: int) -> None:
        done.add(client.submit(work, number, SPIN, pure=False))

    def ready() -> Iterator[Any]:
        return (future.result() for future in done.next_batch())

    return submit, ready, lambda: (client.close(), cluster.close(), None)[2]


def ray() -> tuple[Callable[[int], Any], Callable[[], Iterator[Any]], Callable[[], None]]:
    """The same three with Ray."""
    import ray as engine

    engine.init(num_cpus=2, include_dashboard=False, logging_level="ERROR", log_to_driver=False)
    remote = engine.remote(max_retries=3)(work)
    running: list[Any] = []

    def ready() -> Iterator[Any]:
        finished, running[:] = engine.wait(running, num_returns=1)
        return (engine.get(future) for future in finished)

    return lambda number: running.append(remote.remote(number, SPIN)), ready, engine.shutdown


def measure(engine: str, kill: bool) -> dict[str, Any]:
    """Run all tasks with four in flight, and kill a worker on the way when asked."""
    start = time.perf_counter()
    submit, ready, close = {"dask": dask, "ray": ray}[engine]()
    submit(-1)
    list(ready())
    started = time.perf_counter() - start
    start, numbers, done = time.perf_counter(), iter(range(TASKS)), set()
    for _ in range(4):
        submit(next(numbers))
    while len(done) < TASKS:
        for number, pid in ready():
            done.add(number)
            if kill and len(done) == KILL_AFTER:
                os.kill(pid, signal.SIGKILL)
            following = next(numbers, None)
            if following is not None:
                submit(following)
    spent = time.perf_counter() - start
    memory = megabytes(family(os.getpid()))
    close()
    return {"start": started, "seconds": spent, "done": len(done), "megabytes": memory}


def main() -> None:
    """Measure each in a process of its own and print the table of docs/guide/cluster.md."""
    if len(sys.argv) > 1:
        print(json.dumps(measure(sys.argv[1], sys.argv[2] == "kill")))
        return
    print("| | start-up, s | overhead a task, ms | memory, MB | a killed worker costs, s | tasks lost |")
    print("|---|---|---|---|---|---|")
    for engine in ("dask", "ray"):
        calm, killed = (_run(engine, how) for how in ("calm", "kill"))
        overhead = 1000 * (calm["seconds"] - TASKS * SPIN / 2) / TASKS
        print(
            f"| {engine} | {calm['start']:.1f} | {overhead:.1f} | {calm['megabytes']:.0f} | "
            f"{killed['seconds'] - calm['seconds']:.1f} | {TASKS - killed['done']} |"
        )


def _run(engine: str, how: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.engines", engine, how]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


if __name__ == "__main__":
    main()
