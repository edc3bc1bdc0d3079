"""Whole albums: jobs, deface, overhead, memory, size and a cluster, on photos made from the data folder.

    python -m benchmarks.albums --data FOLDER [--deface COMMAND] [--only NAME...] [--full]

`deface` is measured when its command is named: python -m venv D && D/bin/pip install deface onnxruntime.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from benchmarks import photos
from benchmarks.scenes import Recipe, Source, make

ROOT = Path(__file__).parent.parent
RUN = [sys.executable, "-c", "from photoguard.cli.main import run; run()"]
BY_HAND = ("--method", "solid", "--faces", "none", "--region", "4,4,16,16")


def environment(home: Path) -> dict[str, str]:
    """The user's environment with a home of its own and this checkout."""
    return {**os.environ, "HOME": str(home), "XDG_CONFIG_HOME": str(home), "PYTHONPATH": str(ROOT)}


def seconds(command: list[str], home: Path) -> float:
    """The wall time of a command that succeeds."""
    start = time.perf_counter()
    subprocess.run(command, env=environment(home), check=True, capture_output=True, cwd=home)
    return time.perf_counter() - start


def processor() -> float:
    """CPU seconds of all commands so far, which other programs' load changes little."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def encrypt(source: Path, home: Path, *options: str) -> float:
    """The wall time of protecting a folder."""
    out = home / "out"
    shutil.rmtree(out, ignore_errors=True)
    return seconds([*RUN, "encrypt", str(source), "-o", str(out), "-q", "--no-face", "skip", *options], home)


def lfw(folder: Path, data: Path, count: int) -> Path:
    """Photos of LFW, spread over its people, as PNG."""
    folder.mkdir(parents=True, exist_ok=True)
    names = photos.names(data / "lfw.zip")
    for name in names[:: len(names) // count][:count]:
        pixels = photos.read(data / "lfw.zip", name)
        cv2.imwrite(str(folder / f"{Path(name).stem}.png"), pixels[..., ::-1])
    return folder


def large(folder: Path, data: Path, count: int) -> Path:
    """Scenes of 12 megapixels with three faces."""
    folder.mkdir(parents=True, exist_ok=True)
    source, random = Source(data), np.random.default_rng(5)
    for number in range(count):
        scene = make(Recipe(4000, 3000, (150, 300, 600)), source, random)
        cv2.imwrite(str(folder / f"scene{number}.jpg"), scene.pixels[..., ::-1])
    return folder


def jobs(home: Path, data: Path, options: argparse.Namespace) -> None:
    """Two jobs against one on 200 photos."""
    album = large(lfw(home / "album", data, 190), data, 10)
    one, two = encrypt(album, home, "-j", "1"), encrypt(album, home, "-j", "2")
    print(
        f"200 photos (190 of LFW, 10 of 12 MP), ddm: 1 job {one:.1f} s, 2 jobs {two:.1f} s: {one / two:.2f}x"
    )


def deface(home: Path, data: Path, options: argparse.Namespace) -> None:
    """photoguard against deface: the same folder, blurred faces, PNG in and out."""
    if not options.deface:
        print("deface: not measured, name its command with --deface")
        return
    small, twelve, both = lfw(home / "small", data, 190), home / "twelve", home / "both"
    for path in large(twelve, data, 10).glob("*.jpg"):
        cv2.imwrite(str(path.with_suffix(".png")), cv2.imread(str(path)))
        path.unlink()
    shutil.copytree(small, both)
    shutil.copytree(twelve, both, dirs_exist_ok=True)
    for label, album in (("190 of LFW", small), ("10 of 12 MP", twelve), ("all 200", both)):
        count = len(list(album.glob("*.png")))
        ours = encrypt(album, home, "-m", "blur")
        copies = home / "copies"
        shutil.copytree(album, copies)  # it writes beside its inputs
        theirs = seconds([options.deface, "--replacewith", "blur", *map(str, copies.glob("*.png"))], home)
        shutil.rmtree(copies)
        print(
            f"{label}, blur, PNG: photoguard {count / ours:.2f} photos/s, deface {count / theirs:.2f}: "
            f"{theirs / ours:.2f}x",
            flush=True,
        )


LOOP = """
import sys, time
from pathlib import Path
from photoguard import batch, identities, protect
from photoguard.batch.work import Encrypting
album, out, how = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
text, recipient = identities.generate()
work = Encrypting(protect.Options(), identities.Recipients((recipient,)), tidy=how == "plain")
tasks = batch.plan([album], out, batch.Selection())
batch.pool.one_thread()
work.load()
work(batch.Task(tasks[0].source, out / "warm.pub.png"))
start = time.process_time()
if how == "plain":
    for task in tasks:
        protect.protect_file(task.source, task.public, task.private, work.options, work.recipients)
else:
    journal = batch.Journal(b"k" * 32, b"x", out)
    outcomes = batch.resumed(
        tasks, journal, lambda some: batch.run(some, work, batch.Pool(1)),
        lambda outcome: outcome.result and outcome.result.outputs)
    assert not [outcome.error for outcome in outcomes if outcome.error]
print(time.process_time() - start)
"""


def overhead(home: Path, data: Path, options: argparse.Namespace) -> None:
    """The batch machinery against a plain loop over the library, in CPU time, by turns."""
    album = lfw(home / "small", data, 100)
    spent: dict[str, list[float]] = {"plain": [], "batch": []}
    for _ in range(3):
        for how, times in spent.items():
            out = home / "loop"
            shutil.rmtree(out, ignore_errors=True)
            command = [sys.executable, "-c", LOOP, str(album), str(out), how]
            done = subprocess.run(command, env=environment(home), check=True, capture_output=True, text=True)
            times.append(float(done.stdout))
    plain, batch = min(spent["plain"]), min(spent["batch"])
    more = 100 * (batch / plain - 1)
    print(f"100 photos of LFW: plain loop {plain:.2f} CPU s, batch {batch:.2f} CPU s: {more:+.1f} %")


def memory(home: Path, data: Path, options: argparse.Namespace) -> None:
    """Peak memory of one job on photos of 12 megapixels, after 10 and after all."""
    count = 1000 if options.full else 40
    album = large(home / "scenes", data, 4)
    many = home / "many"
    many.mkdir()
    made = sorted(album.glob("*.jpg"))
    for number in range(count):
        os.link(made[number % len(made)], many / f"{number:04}.jpg")
    out = home / "out"
    command = [*RUN, "encrypt", str(many), "-o", str(out), "-q", "-j", "1"]
    run = subprocess.Popen(command, env=environment(home), cwd=home)
    peaks: dict[int, float] = {}
    while run.poll() is None:
        done = len(list(out.glob("*.pub.png"))) if out.exists() else 0
        status = Path(f"/proc/{run.pid}/status").read_text(encoding="ascii")
        if "VmHWM" in status:
            peaks[done] = int(status.split("VmHWM:")[1].split()[0]) / 1024
        time.sleep(0.2)
    early = max(peak for done, peak in peaks.items() if done <= 10)
    print(
        f"12 MP, 1 job: peak {early:.0f} MB up to photo 10, {max(peaks.values()):.0f} MB up to photo {count}"
    )


def size(home: Path, data: Path, options: argparse.Namespace) -> None:
    """From 1,000 to many photos, tiny ones that a plain cover suffices for."""
    pixels = np.random.default_rng(1).integers(0, 255, (24, 24, 3), dtype=np.uint8)
    tiny = home / "tiny.png"
    cv2.imwrite(str(tiny), pixels)
    counts = (1000, 10_000, 100_000) if options.full else (1000, 10_000)
    for count in counts:
        album = home / f"album{count}"
        album.mkdir()
        for number in range(count):
            shutil.copyfile(tiny, album / f"{number:06}.png")
        before = processor()
        wall = encrypt(album, home, "-j", "2", *BY_HAND)
        first = processor()
        seconds([*RUN, "encrypt", str(album), "-o", str(home / "out"), "-q", *BY_HAND], home)
        spent, again = 1000 * (first - before) / count, 1000 * (processor() - first) / count
        print(
            f"{count} tiny photos, 2 jobs: {wall:.1f} s; {spent:.2f} CPU ms a photo, {again:.2f} for one "
            "that an earlier run finished",
            flush=True,
        )
        shutil.rmtree(album)


def cluster(home: Path, data: Path, options: argparse.Namespace) -> None:
    """A local cluster of two workers against two jobs."""
    from distributed import LocalCluster

    album = large(lfw(home / "album", data, 190), data, 10)
    two = encrypt(album, home, "-j", "2")
    os.environ["PYTHONPATH"] = str(ROOT)
    with LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as workers:
        first = encrypt(album, home, "--cluster", workers.scheduler_address)
        warm = encrypt(album, home, "--cluster", workers.scheduler_address)
    print(
        f"200 photos: 2 jobs {two:.1f} s; cluster of 2 workers {first:.1f} s ({two / first:.2f}x), "
        f"once its workers have loaded everything {warm:.1f} s ({two / warm:.2f}x)"
    )


PARTS: dict[str, Callable[[Path, Path, argparse.Namespace], None]] = {
    part.__name__: part for part in (jobs, deface, overhead, memory, size, cluster)
}


def main() -> None:
    """Measure the parts asked for, each in a fresh folder."""
    parser = argparse.ArgumentParser(description="Measure runs over whole albums.")
    parser.add_argument("--data", type=Path, default=os.environ.get("PHOTOGUARD_DATA"), help="data folder")
    parser.add_argument("--deface", help="command of an installed deface")
    parser.add_argument("--only", nargs="*", choices=PARTS, default=list(PARTS))
    parser.add_argument("--full", action="store_true", help="100,000 photos, and 1,000 of 12 megapixels")
    options = parser.parse_args()
    if options.data is None:
        parser.error("name the data folder with --data or PHOTOGUARD_DATA")
    for name in options.only:
        with tempfile.TemporaryDirectory() as folder:
            seconds([*RUN, "keygen"], Path(folder))
            PARTS[name](Path(folder), Path(options.data), options)


if __name__ == "__main__":
    main()
