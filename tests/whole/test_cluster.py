"""Photos with addresses, and runs on a cluster: a loopback object store and local Dask workers.

Covers: batch.cluster, batch.work, files.remote.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.albums import BY_HAND, at_home, count, double, key_of, names, noted, photo, some
from support.shell import Shell

from photoguard import batch, files
from photoguard.batch.journal import NAME
from photoguard.batch.work import left_behind, may_replace
from photoguard.errors import OutputExistsError, UnreadableError, UsageError
from photoguard.files import remote

pytest.importorskip("upath")
distributed = pytest.importorskip("distributed")

RUN = [sys.executable, "-c", "from photoguard.cli.main import run; run()"]


@pytest.fixture
def box(request: pytest.FixtureRequest) -> Iterator[Path]:
    """An empty folder in memory, at an address."""
    folder = remote.place(f"memory://{request.node.name.partition('[')[0]}")
    yield folder
    if folder.exists():
        folder.fs.rm(folder.path, recursive=True)  # type: ignore[attr-defined]


def upload(local: Path, target: Path) -> Path:
    target.write_bytes(photo(local).read_bytes())
    return target


# Addresses


def test_what_is_no_address_is_a_path() -> None:
    assert remote.place("a/b.jpg") == Path("a/b.jpg") and not remote.is_remote(remote.place("C:/x"))
    with pytest.raises(UsageError, match="cannot be reached"):
        remote.place("nonsense://bucket/photo.jpg")


def test_an_address_that_nothing_here_knows(photoguard: Shell) -> None:
    for typed in (("nonsense://photo.jpg",), ("photo.jpg", "-o", "nonsense://bucket")):
        done = photoguard("encrypt", *typed, code=2)
        assert done.stderr.startswith("error: nonsense://") and "hint: pip install" in done.stderr


def test_a_server_that_refuses(box: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> bool:
        raise RuntimeError("no credentials")

    monkeypatch.setattr(type(box), "is_dir", refuse)
    with pytest.raises(UnreadableError, match="cannot be reached: no credentials"):
        batch.plan([box], None, batch.Selection())


def test_an_address_is_mirrored_like_a_folder(box: Path, tmp_path: Path) -> None:
    for name in ("a.png", "deep/b.png", "deep/notes.txt"):
        upload(tmp_path / "x.png", box / name)
    tasks = batch.plan([box], box / "out", batch.Selection(True))
    assert [str(task.public) for task in tasks] == [
        str(box / "out/a.pub.png"),
        str(box / "out/deep/b.pub.png"),
    ]
    local = batch.plan([box], tmp_path / "out", batch.Selection(True, exclude=("deep",)))
    assert [task.public for task in local] == [tmp_path / "out" / "a.pub.png"]
    assert files.read_file(tasks[0].source) == (tmp_path / "x.png").read_bytes()
    with pytest.raises(UnreadableError, match="does not exist"):
        files.read_file(box / "missing.png")


def test_remote_outputs_are_published_private_first_and_never_overwritten(box: Path) -> None:
    order: list[str] = []
    write = type(box).write_bytes

    class Watched:
        def __get__(self, path: Any, kind: type) -> Any:
            return lambda data: (order.append(path.name), write(path, data))[1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(box), "write_bytes", Watched())
        with files.staged(box) as stage:
            stage.add("a.pub.png", b"public")
            stage.add("a.priv", b"private")
            assert not (box / "a.priv").exists()
            stage.publish()
    assert order == ["a.priv", "a.pub.png"] and (box / "a.pub.png").read_bytes() == b"public"
    with pytest.raises(OutputExistsError), files.staged(box) as stage:
        stage.add("a.pub.png", b"another")
        stage.publish()
    with files.staged(box, force=True) as stage:
        stage.add("a.pub.png", b"another")
        stage.publish()
    assert (box / "a.pub.png").read_bytes() == b"another"


def test_the_journal_of_an_address_lies_at_home(box: Path, tmp_path: Path) -> None:
    task = batch.Task(upload(tmp_path / "x.png", box / "a.png"), box / "a.pub.png")
    journal = batch.Journal(b"k" * 32, b"solid", tmp_path / "home")
    (task,) = journal.begin([task])
    for path in task.certain:
        path.write_bytes(b"torn")
    again = batch.Journal(b"k" * 32, b"solid", tmp_path / "home")
    assert again.finished(task) is None, "a torn upload is not taken for whole"
    (task,) = again.begin([task])
    assert task.fresh and left_behind(task, None) is None and may_replace(task)
    again.done(task, task.certain)
    assert batch.Journal(b"k" * 32, b"solid", tmp_path / "home").finished(task)
    assert not (box / NAME).exists()
    time.sleep(0.01)
    upload(tmp_path / "y.png", box / "a.png")
    with pytest.raises(OutputExistsError, match="has changed"):
        batch.Journal(b"k" * 32, b"solid", tmp_path / "home").finished(task)


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A bucket of a loopback object store."""
    server = pytest.importorskip("moto.server").ThreadedMotoServer(port=0)
    s3fs = pytest.importorskip("s3fs")
    server.start()
    host, port = server.get_host_and_port()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "nobody",
        "AWS_SECRET_ACCESS_KEY": "nothing",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    s3fs.S3FileSystem(skip_instance_cache=True).mkdir("album")
    yield "s3://album"
    server.stop()


def test_a_bucket_works_as_a_folder_does(photoguard: Shell, bucket: str, tmp_path: Path) -> None:
    for number in range(4):
        upload(tmp_path / "x.png", remote.place(f"{bucket}/in/{number % 2}/{number}.png"))
    typed = ("encrypt", f"{bucket}/in", "-r", "-o", f"{bucket}/out", *BY_HAND)
    assert "4 of 4 photos protected" in photoguard(*typed, "-j", 2).stderr
    assert "4 finished by an earlier run" in photoguard(*typed).stderr
    photoguard("verify", f"{bucket}/out", "-r")
    photoguard("decrypt", f"{bucket}/out", "-r", "-o", "back")
    assert len([name for name in names(tmp_path / "back") if name.endswith(".restored.png")]) == 4
    done = photoguard("encrypt", f"{bucket}/none/", "-o", "x", *BY_HAND, code=3)
    assert "does not exist" in done.stderr or "cannot" in done.stderr


# A cluster


@pytest.fixture
def workers() -> Iterator[Any]:
    """A scheduler and two workers, in processes of their own."""
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, silence_logs=50
    ) as cluster:
        yield cluster


def test_a_cluster_does_every_task(workers: Any) -> None:
    tasks = some(*map(str, range(20)), "bug", "error")
    outcomes = {o.task.source.stem: o for o in batch.cluster.run(tasks, double, workers.scheduler_address)}
    assert len(outcomes) == 22 and all(outcomes[str(n)].result == 2 * n for n in range(20))
    bug, error = outcomes["bug"].error, outcomes["error"].error
    assert bug and "KeyError" in str(bug) and error and error.hint == "a hint"


def test_a_cluster_stops_when_asked(workers: Any) -> None:
    stop: list[bool] = []
    outcomes = []
    for outcome in batch.cluster.run(
        some(*map(str, range(50))), double, workers.scheduler_address, lambda: bool(stop)
    ):
        outcomes.append(outcome)
        stop.append(True)
    assert 1 <= len(outcomes) < 20 and not any(o.error for o in outcomes)


def rest(task: batch.Task) -> None:
    time.sleep(60)


def test_a_cluster_that_is_busy_is_left_when_asked(workers: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch.cluster, "PATIENCE", 0.1)
    began = time.monotonic()
    asked = lambda: time.monotonic() - began > 1  # noqa: E731
    assert not list(batch.cluster.run(some("1", "2"), rest, workers.scheduler_address, asked))
    assert time.monotonic() - began < 30


def test_no_cluster_is_there() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batch.cluster, "CONNECT_SECONDS", 1)
        with pytest.raises(UsageError, match="no Dask scheduler"):
            list(batch.cluster.run(some("1"), double, "tcp://127.0.0.1:9"))


def test_a_killed_worker_loses_nothing(workers: Any, tmp_path: Path) -> None:
    out = tmp_path / "out"
    for number in range(40):
        photo(tmp_path / "album" / f"{number:02}.png", number)
    typed = [*RUN, "encrypt", "album", "-o", "out", "--cluster", workers.scheduler_address, *BY_HAND]
    run = subprocess.Popen(
        typed, env=at_home(tmp_path), cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    while run.poll() is None and count(out) < 12:
        time.sleep(0.005)
    assert run.poll() is None, run.communicate()
    client = distributed.Client(workers.scheduler_address, set_as_default=False)
    os.kill(next(iter(client.run(os.getpid).values())), signal.SIGKILL)
    client.close()
    _, said = run.communicate(timeout=120)
    assert run.returncode == 0 and "40 of 40 photos protected" in said, said
    private = tmp_path / "out.private"
    assert names(out) == [f"{n:02}.pub.png" for n in range(40)]
    assert names(private) == [NAME, *(f"{n:02}.priv" for n in range(40))]
    assert sum("files" in line for line in noted(private / NAME, key_of(tmp_path))) == 40
    subprocess.run([*RUN, "verify", out], env=at_home(tmp_path), check=True, capture_output=True)
