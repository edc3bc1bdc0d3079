"""`keygen` and `recipients`, and where the default identity lives."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from photoguard import files, identities, limits
from photoguard.cli import options
from photoguard.cli.key_models import (
    Images,
    Minutes,
    Preset,
    PresetOption,
    Steps,
    key_model_text,
    make_key_model,
    settings,
)
from photoguard.cli.voice import Voice, ask_passphrase, guarded, new_passphrase
from photoguard.errors import (
    DamagedError,
    OutputExistsError,
    UnreadableError,
    UnwritableError,
    UsageError,
    WrongKeyError,
)
from photoguard.identities import Identity, Recipients

PUBLIC = ".pub"  # the recipients file beside an identity: your own key, and the recovery key's
PROOF = b"photoguard recovery proof"
LEARNED = "learned"  # in place of a key model's file: the default one


def default_identity() -> Path:
    """Where `keygen` writes when it is not told otherwise."""
    from platformdirs import user_config_path

    return user_config_path("photoguard") / "identity"


@guarded
def keygen(
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Identity file to write; your config folder's by default."),
    ] = None,
    passphrase: Annotated[
        bool, typer.Option("--passphrase", help="Lock the identity file with a passphrase.")
    ] = False,
    recovery: Annotated[
        Path | None,
        typer.Option(
            "--recovery",
            help="Write a second identity here, for a safe place; it opens whatever you encrypt to yourself.",
        ),
    ] = None,
    model: Annotated[
        bool,
        typer.Option(
            "--model",
            help="Make a learned key model for AVP instead, locked to your identity: key-model.age in your "
            "config folder, and a sample sheet beside it.",
        ),
    ] = False,
    minutes: Minutes = None,
    steps: Steps = None,
    images: Images = None,
    preset: PresetOption = Preset.small,
    force: options.Force = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    debug: options.Debug = False,
) -> None:
    """Make your identity: the secret that opens your private files. With --model: a key model for AVP."""
    voice = Voice(json, quiet, verbose)
    if model:
        if passphrase or recovery:
            raise UsageError("--model takes neither --passphrase nor --recovery", "your identity locks it")
        path = output or default_key_model()
        owner = Recipients(tuple(own_recipients(voice)))
        config, sheet = settings(preset, minutes, steps), path.with_suffix(".png")
        record = make_key_model(path, sheet, config, tuple(images or ()), owner, voice, force=force)
        voice.result(key_model_text(record), record)
        return
    if minutes or steps or images or force:
        raise UsageError("--minutes, --steps, --images and --force belong to --model", "add --model")
    path = output or default_identity()
    locked = new_passphrase("Passphrase for the new identity") if passphrase else None
    recipients = make_identity(path, locked, recovery)
    text = f"identity   {files.shown(path)}\nrecipient  {recipients[0]}"
    if recovery:
        text += f"\nrecovery   {files.shown(recovery)}"
    record = {
        "identity": str(path),
        "recipient": recipients[0],
        "recovery": str(recovery) if recovery else None,
    }
    voice.result(text, record)
    voice.note("Keep a copy of the identity file in a safe place: without it nobody restores your photos.")
    if recovery:
        voice.note("The recovery identity was proven to open a test message. Move it off this computer.")


def make_identity(path: Path, passphrase: str | None, recovery: Path | None) -> list[str]:
    """Write a new identity and the recipients that go with it; nothing that exists is touched."""
    public = path.with_name(path.name + PUBLIC)
    for target in filter(None, (path, public, recovery)):
        files.refuse_existing(target)
    if recovery and recovery.absolute() == path.absolute():
        raise UsageError("the recovery identity needs a file of its own", "name another with --recovery")
    secret, recipient = identities.generate()
    recipients, secrets = [recipient], [secret]
    if recovery:
        spare, spare_recipient = identities.generate()
        recipients.append(spare_recipient)
        secrets.append(spare)
    _prove(secrets, recipients)
    if recovery:
        files.write_secret(recovery, secrets[1])
    content = secret.encode()
    if passphrase is not None:
        content = identities.seal(content, Recipients(passphrase=passphrase))
    with files.staged(path.parent) as stage:
        stage.add(path.name, content, mode=0o600)
        stage.add(public.name, "".join(f"{line}\n" for line in recipients).encode())
        stage.publish()
    return recipients


def _prove(secrets: Sequence[str], recipients: Sequence[str]) -> None:
    """Every new identity opens what is sealed to all of them."""
    sealed = identities.seal(PROOF, Recipients(tuple(map(identities.parse_recipient, recipients))))
    for secret in secrets:
        if identities.unseal(sealed, identities.parse_identities(secret.encode(), ask_passphrase)) != PROOF:
            raise WrongKeyError("a new identity does not open a test message", "try again")


@guarded
def recipients(
    identity: Annotated[
        Path | None,
        typer.Argument(
            help="Identity file, recipients file or NAME.priv; your default identity's otherwise.",
            readable=False,
        ),
    ] = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    debug: options.Debug = False,
) -> None:
    """Show the public keys that others can encrypt to, or the kinds of keys that open a private file."""
    voice = Voice(json, quiet, verbose)
    if identity is not None and identity.name.endswith(files.PRIVATE_SUFFIX):
        found = identities.stanzas(files.read_file(identity, limits.PRIVATE))
    else:
        found = _recipient_lines(identity or default_identity())
    for line in found:
        voice.result(line, {"recipient": line})


def _recipient_lines(path: Path) -> list[str]:
    public = path.with_name(path.name + PUBLIC)
    if path == default_identity() and not has_identity():
        raise WrongKeyError("you have no identity yet", "make one with `photoguard keygen`")
    text = files.read_file(public if files.is_there(public) else path, limits.KEYS).decode("utf-8", "replace")
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    own = identities.recipients_of(text)
    if not own:
        identities.parse_recipients(text)
    return own or lines


def has_identity() -> bool:
    """Whether the default identity, or what is public of it, exists."""
    path = default_identity()
    return path.exists() or path.with_name(path.name + PUBLIC).exists()


def own_recipients(voice: Voice) -> list[str]:
    """The default identity's recipients; the identity is made at first use."""
    path = default_identity()
    if not has_identity():
        made = make_identity(path, None, None)
        voice.note(f"Made your identity: {files.shown(path)} (recipient {made[0]})")
        voice.note("Back it up, for instance on a USB stick: without it nobody can restore your photos.")
    return [identities.parse_recipient(line) for line in _recipient_lines(path)]


def chosen_recipients(to: Sequence[str], passphrase: bool, voice: Voice) -> Recipients:
    """Whom to seal to, from what was typed."""
    if passphrase:
        if to:
            raise UsageError("--passphrase and --to exclude each other", "age files have one or the other")
        return Recipients(passphrase=new_passphrase("Passphrase for the private files"))
    if not to:
        return Recipients(tuple(own_recipients(voice)))
    keys: list[str] = []
    for one in to:
        if one == "self":
            keys += own_recipients(voice)
        elif one.startswith(("age1", "ssh-")) and not files.is_there(Path(one)):
            keys.append(identities.parse_recipient(one))
        else:
            keys += identities.parse_recipients(
                files.read_file(Path(one), limits.KEYS).decode("utf-8", "replace")
            )
    if "self" not in to:
        voice.note("Sealed to the named recipients only; add `--to self` to be able to open it yourself.")
    return Recipients(tuple(keys))


def load_identities(key: Path | None, voice: Voice) -> list[Identity]:
    """The identities to open with; none when there is no default one."""
    path = key or default_identity()
    if key is None and not path.exists():
        return []
    data = files.read_file(path, limits.KEYS)
    if files.readable_by_others(path):
        voice.warn(f"others can read {files.shown(path)}; mend it with: chmod 600 {files.shown(path)}")
    return identities.parse_identities(data, ask_passphrase)


def journal_key(voice: Voice, make: bool = True) -> bytes | None:
    """The secret that keys what journals say about photos; made at first use, if it may be."""
    path = default_identity().with_name("journal.key")
    try:
        if not path.exists():
            if not make:
                return None
            files.write_secret(path, secrets.token_hex(32) + "\n")
    except OutputExistsError:
        pass  # another run made it this moment
    except UnwritableError as error:
        voice.note(f"note: without a journal, an interrupted run cannot be continued: {error}")
        return None
    try:
        return bytes.fromhex(files.read_file(path, limits.KEYS).decode("ascii", "replace").strip())
    except ValueError:
        raise DamagedError(
            f"{files.shown(path)} is damaged", "remove it; runs that were cut off then go on with --force"
        ) from None


def default_key_model() -> Path:
    """Where `keygen --model` writes when it is not told otherwise."""
    return default_identity().with_name("key-model.age")


def load_key_model(name: str, voice: Voice) -> bytes:
    """The plaintext of a key model, opened with the default identity."""
    path = default_key_model() if name == LEARNED else Path(name)
    if name == LEARNED and not path.exists():
        raise WrongKeyError("you have no key model yet", "make one with `photoguard keygen --model`")
    return identities.unseal(locked_key_model(path), load_identities(None, voice), ask_passphrase)


def locked_key_model(path: Path) -> bytes:
    """A key model as it lies on disk."""
    data = files.read_file(path, limits.KEY_MODEL)
    if not data.startswith((identities.AGE_MAGIC, identities.ARMOR_MAGIC)):
        raise UnreadableError(
            f"{files.shown(path)} is not a key model", "`photoguard keygen --model` makes one"
        )
    return data


def proof_identities(recipients: Recipients, voice: Voice) -> list[Identity]:
    """The default identity, to prove that outputs open: where it is a recipient and needs no passphrase."""
    path = default_identity()
    if recipients.passphrase is not None or not path.exists():
        return []
    data = files.read_file(path, limits.KEYS)
    if data.startswith(identities.AGE_MAGIC):
        voice.detail(
            "Your identity is locked with a passphrase, so the private file is not opened as a test."
        )
        return []
    own = identities.parse_identities(data, ask_passphrase)
    return [identity for identity in own if identities.is_among(identity, recipients)]
