"""What is done to one photo of a run: values that any process or machine can carry out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from photoguard import files
from photoguard.batch.plan import Task
from photoguard.errors import PhotoguardError, UsageError, WrongKeyError
from photoguard.files import limits, remote
from photoguard.formats import identities
from photoguard.formats.identities import Ask, Identity, Recipients
from photoguard.formats.signing import Signer
from photoguard.opening import Makers, Shelf, shelve
from photoguard.photos import png
from photoguard.photos.metadata import Metadata, file_names
from photoguard.protect import Options, Protection, protect_file

if TYPE_CHECKING:
    from photoguard.reveal import Restored


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
    signer: Signer | None = None
    proof: tuple[Identity, ...] = ()
    force: bool = False
    tidy: bool = True  # not for many photos: the run itself does it once a folder
    secret: bytes | None = field(default=None, repr=False)  # the user's, of stages
    progress: Callable[[int, int], None] | None = None  # of AVP's search, where a person watches one photo

    def load(self) -> None:
        """Load what the work needs, for a process that is about to fork workers."""
        from photoguard.methods import method

        if self.options.faces != "none":
            from photoguard.detection.networks import load_networks

            load_networks()
        prepare = getattr(method(self.options.method), "network", None)
        if prepare:
            prepare()
        if self.options.settings.chips:
            from photoguard.methods.avp.chips import spec_for

            spec_for(self.options.settings.chips.recognizers)

    def __call__(self, task: Task) -> Report:
        """Protect one photo."""
        left = left_behind(task, self.secret)
        if left:
            return left
        made = protect_file(
            task.source,
            task.public,
            task.private,
            self.options,
            self.recipients,
            signer=self.signer,
            proof=self.proof,
            force=self.force or may_replace(task),
            heals=task.apart is not None and task.fresh and not files.is_there(task.public),
            tidy=self.tidy,
            secret=self.secret,
            progress=self.progress,
        )
        record = protected_record(task, made)
        size = task.source.stat().st_size
        chips = (Path(chip["file"]) for chip in record.get("chips", ()))
        outputs = (task.private, task.public, *chips)
        return Report(record, outputs, len(record["covers"]), size, made.notices)


def protected_record(task: Task, made: Protection) -> dict[str, Any]:
    """What a script is told about a protected photo."""
    chips = [
        {
            "face": number, "file": str(files.chip_beside(task.public, number)), "cosine": chip.cosines,
            "ssim_e": chip.ssim_e, "ssim_d": chip.ssim_d, "steps": chip.steps, "seconds": chip.seconds,
            "survived": chip.survived,
        }
        for number, chip in made.chips.items()
    ]  # fmt: skip
    return ({"chips": chips} if chips else {}) | {
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


def left_behind(task: Task, secret: bytes | None) -> Report | None:
    """The report on outputs that a worker of this run wrote before it died without a word.

    They were not there when the run began. Local ones are put in place together, remote ones may be torn.
    """
    if not task.fresh:
        return None
    there = [files.is_there(path) for path in task.certain]
    if any(there) and not all(there):  # it died while it put them in place
        files.finish_killed_runs(task.public.parent, secret)
    if not all(map(files.is_there, task.certain)):
        return None
    try:
        png.list_chunks(files.read_file(task.public))
        if not task.restores:
            identities.stanzas(files.read_file(task.private, limits.PRIVATE))
    except PhotoguardError:
        return None
    record = {"source": str(task.source), "outputs": [str(path) for path in task.certain]}
    return Report(record, task.certain, 0, task.source.stat().st_size, ("its worker died after writing it",))


def may_replace(task: Task) -> bool:
    """Whether an output that is there is a torn upload of this run's own."""
    return task.fresh and remote.is_remote(task.public)


@dataclass(frozen=True)
class Restoring:
    """Open a public picture with its private files, and write the photo unless it is only to be verified."""

    identities: tuple[Identity, ...]
    private: tuple[Path, ...] = ()  # those beside the picture when empty
    makers: Makers = field(default_factory=dict)  # whose signatures are known
    changed: bool = False
    max_pixels: int = 1 << 62
    force: bool = False
    parts: Path | None = None  # folder for the original's metadata, bit for bit
    write: bool = True
    tidy: bool = True
    secret: bytes | None = field(default=None, repr=False)  # the user's, of stages
    passphrase: str | None = field(default=None, repr=False)  # of private files locked with one
    key_model: bytes | None = field(default=None, repr=False)  # a learned one, for AVP's learned chips
    shelves: dict[Path, Shelf] = field(default_factory=dict, repr=False)  # of folders that were looked into
    ask: Ask | None = None  # for it, where a person can be asked: not in other processes

    def load(self) -> None:
        """Nothing: a picture tells only when it is opened whether it needs a network."""

    def __call__(self, task: Task) -> Report:
        """Restore or verify one picture."""
        from photoguard.photos import images

        left = left_behind(task, self.secret) if self.write else None
        if left:
            return left
        force = self.force or may_replace(task)
        notices: tuple[str, ...] = ()
        if self.write:
            if self.tidy:
                notices = files.finish_killed_runs(task.public.parent, self.secret).notices
            if files.is_same(task.public, task.source):
                raise UsageError(
                    f"{files.shown(task.public)} is the picture itself", "choose another name with -o"
                )
            if not self.force:
                files.refuse_existing(task.public)
        data = limits.read_picture(task.source, self.max_pixels)
        restored = self.restored(task, data)
        parts = self._named_parts(self.parts, restored, force) if self.parts else []
        record = self.record(task, restored)
        if self.write:
            self.refuse_original(task, restored.name)
            with files.staged(task.public.parent, force, self.secret) as stage:
                stage.add(
                    task.public.name, images.encode_restored(restored.photo), at_most=restored.file_mode
                )
                stage.publish()
            record["restored"] = str(task.public)
            if self.parts is not None:
                self._write_parts(self.parts, parts, restored.photo.metadata, force)
                record["parts"] = parts
        outputs = (task.public,) if self.write else ()
        return Report(record, outputs, len(restored.opened), len(data), (*notices, *restored.notices))

    def record(self, task: Task, restored: Restored) -> dict[str, Any]:
        """What a script is told about a restored photo."""
        return {
            "picture": str(task.source), "opened": list(restored.opened), "closed": list(restored.closed),
            "exact": restored.exact, "changed": restored.changed, "name": restored.name,
            "made_by": restored.made_by, "notices": list(restored.notices),
        }  # fmt: skip

    def refuse_original(self, task: Task, name: str | None) -> None:
        """The original is never replaced; it is known by its name, sealed or as the picture has it."""
        stem = files.stem_of(task.source, files.PUBLIC_SUFFIX)
        original = name == task.public.name if name else task.public.stem == stem
        if original and self.force and files.is_there(task.public):
            raise UsageError(
                f"{files.shown(task.public)} has the original's name, and is not replaced",
                "choose another name with -o, or move the file away",
            )

    def restored(self, task: Task, data: bytes) -> Restored:
        """The photo of a picture's bytes."""
        if self.private:
            return self._opened(task, data, self.private)
        if not task.secrets:
            return self._opened(task, data, self._of_photo(task, data))
        try:
            return self._opened(task, data, task.secrets)
        except WrongKeyError:
            others = [path for path in self._of_photo(task, data) if path not in task.secrets]
            if not others:
                raise
            return self._opened(task, data, others)

    def _of_photo(self, task: Task, data: bytes) -> list[Path]:
        """Private files that say inside that they are this picture's, whatever they or it are called."""
        from photoguard import reveal

        photo = reveal.identify(data, self.max_pixels)
        for lair in task.lairs:
            if lair not in self.shelves:
                self.shelves[lair] = shelve(lair, self.identities)
        return [path for lair in task.lairs for path in self.shelves[lair].get(photo, ())]

    def _opened(self, task: Task, data: bytes, private: Sequence[Path]) -> Restored:
        from photoguard import reveal

        return reveal.restore(
            data,
            limits.read_private(private),
            self.identities,
            self._asked(),
            self.makers,
            changed=self.changed,
            max_pixels=self.max_pixels,
            key_model=self.key_model,
            expected=files.shown(files.private_beside(task.source)),
            own=files.shown(files.private_beside(task.source).name),
        )

    def _named_parts(self, folder: Path, restored: Restored, force: bool) -> list[str]:
        """The names of the parts, before anything is written: whatever stands in their way is an error."""
        if not restored.whole:
            raise UsageError(
                "the private files do not open all of the original's metadata",
                "leave --parts out; only a grant of all faces has it, and none by an earlier photoguard",
            )
        with files.writing(folder):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        names = file_names(restored.photo.metadata)
        if not force:
            for name in names:
                files.refuse_existing(folder / name, "--parts")
        return names

    def _write_parts(self, folder: Path, names: list[str], metadata: Metadata, force: bool) -> None:
        with files.staged(folder, force, self.secret) as stage:
            for name, part in zip(names, metadata.parts, strict=True):
                stage.add(name, part.body, 0o600)
            stage.publish()

    def _asked(self) -> Ask | None:
        known = self.passphrase
        return self.ask if known is None else lambda _: known
