"""AVP's learned key models at the command line: where they lie, and opening them."""

from __future__ import annotations

from pathlib import Path

from photoguard import files, identities
from photoguard.cli.keys import default_identity, load_identities
from photoguard.cli.voice import Voice, ask_passphrase
from photoguard.errors import WrongKeyError

LEARNED = "learned"  # in place of a file: the default one


def default_key_model() -> Path:
    """Where `keygen --model` writes when it is not told otherwise."""
    return default_identity().with_name("key-model.age")


def load_key_model(name: str, voice: Voice) -> bytes:
    """The plaintext of a key model, opened with the default identity."""
    return identities.unseal(locked_key_model(name), load_identities(None, voice), ask_passphrase)


def locked_key_model(name: str) -> bytes:
    """A key model as it lies on disk."""
    path = default_key_model() if name == LEARNED else Path(name)
    if name == LEARNED and not path.exists():
        raise WrongKeyError("you have no key model yet", "make one with `photoguard keygen --model`")
    return files.read_file(path)
