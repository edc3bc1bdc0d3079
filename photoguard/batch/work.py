"""What is done to one photo of a run: values that any process or machine can carry out."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from photoguard import files
from photoguard.batch.plan import Task
from photoguard.errors import UnreadableError, UsageError
from photoguard.identities import Ask, Identity, Recipients
from photoguard.protect import Options, Protection, protect_file


@dataclass(frozen=True)
class Report:
    """What became of a photo, small enough to be sent between processes."""

    record: dict[str, Any]  # what --json prints
    outputs: tuple[Path, ...]
    faces: int
    size: int  # bytes of the input
    notices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Encrypting:
    """Cover the faces of a photo and write its two files."""

    options: Options
    recipients: Recipients
    proof: tuple[Identity, ...] = ()
    force: bool = False
    tidy: bool = True  # not for many photos: the run itself does it once a folder

    def load(self) -> None:
        """Load what the work needs, for a process that is about to fork workers."""
        from photoguard.methods import method

        if self.options.faces != "none":
            from photoguard.detection.networks import load_networks

            load_networks("cpu")
        prepare = getattr(method(self.options.method), "network", None)
        if prepare:
            prepare()

    def __call__(self, task: Task) -> Report:
        """Protect one photo."""
        made = protect_file(
            task.source,
            task.public,
            task.private,
            self.options,
            self.recipients,
            proof=self.proof,
            force=self.force,
            tidy=self.tidy,
        )
        record = protected_record(task, made)
        size = task.source.stat().st_size
        return Report(record, (task.private, task.public), len(record["covers"]), size, made.notices)


def protected_record(task: Task, made: Protection) -> dict[str, Any]:
    """What a script is told about a protected photo."""
    return {
        "source": str(task.source),
        "public": str(task.public),
        "private": str(task.private),
        "covers": [[f.box.x, f.box.y, f.box.width, f.box.height] for f in made.public.faces],
        "method": made.public.faces[0].method,
        "covered": list(made.covered),
        "uncertain": [n for n in made.covered if not made.found[n - 1].certain],
        "kept": list(made.kept),
        "notices": list(made.notices),
    }


@dataclass(frozen=True)
class Restoring:
    """Open a public picture with its private files, and write the photo unless it is only to be verified."""

    identities: tuple[Identity, ...]
    private: tuple[Path, ...] = ()  # those beside the picture when empty
    changed: bool = False
    max_pixels: int = 1 << 62
    force: bool = False
    write: bool = True
    tidy: bool = True
    passphrase: str | None = field(default=None, repr=False)  # of private files locked with one
    ask: Ask | None = None  # for it, where a person can be asked: not in other processes

    def load(self) -> None:
        """Nothing: a picture tells only when it is opened whether it needs a network."""

    def __call__(self, task: Task) -> Report:
        """Restore or verify one picture."""
        from photoguard import images, reveal

        if self.write:
            if self.tidy:
                files.finish_killed_runs(task.public.parent)
            if files.is_same(task.public, task.source):
                raise UsageError(
                    f"{files.shown(task.public)} is the picture itself", "choose another name with -o"
                )
            if not self.force:
                files.refuse_existing(task.public)
        data = files.read_file(task.source)
        beside = self.private or task.secrets
        if not beside:
            expected = files.shown(files.private_beside(task.source))
            raise UnreadableError(f"{expected} does not exist", "name the private file with --private")
        secrets = [files.read_file(path) for path in beside]
        opened = reveal.open_private(secrets, self.identities, self._asked())
        restored = reveal.reveal(data, opened, self.changed, self.max_pixels)
        record = {
            "picture": str(task.source), "opened": list(restored.opened), "closed": list(restored.closed),
            "exact": restored.exact, "changed": restored.changed, "name": restored.name,
        }  # fmt: skip
        if self.write:
            with files.staged(task.public.parent, self.force, self.tidy) as stage:
                stage.add(task.public.name, images.encode_restored(restored.photo))
                stage.publish()
            record["restored"] = str(task.public)
        return Report(record, (task.public,) if self.write else (), len(restored.opened), len(data))

    def _asked(self) -> Ask | None:
        known = self.passphrase
        return self.ask if known is None else lambda _: known
