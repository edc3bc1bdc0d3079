"""Who you are: the secret that opens what is encrypted to you and signs what you protect."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from photoguard import files
from photoguard.errors import WrongKeyError
from photoguard.files import limits
from photoguard.formats import identities, public_keys, signing
from photoguard.formats.signing import Signer

PUBLIC = ".pub"  # the ending of the file to share, beside an identity
SECRET_MODE, PUBLIC_MODE = 0o600, 0o644


def default_identity() -> Path:
    """Where `keygen` writes when it is not told otherwise."""
    from platformdirs import user_config_path

    return user_config_path("photoguard") / "identity"


def asked(passphrase: str | None) -> identities.Ask | None:
    """A passphrase in the form that those who open files ask for it."""
    return None if passphrase is None else lambda _: passphrase


def _refused(_: str) -> str:
    raise WrongKeyError("the identity file is locked", "give its passphrase")


@dataclass(frozen=True)
class Identity:
    """An identity file's text, as `photoguard keygen` or `age-keygen` writes it, or an SSH private key."""

    text: str = field(repr=False)

    @classmethod
    def generate(cls) -> Identity:
        """A new one, in memory alone: `save` it, or nobody opens what is encrypted to it."""
        return cls(identities.generate()[0])

    @classmethod
    def load(cls, path: Path | str | None = None, *, passphrase: str | None = None) -> Identity:
        """From a file; without a path the one that the `photoguard` command uses, which has to exist."""
        if path is None and not files.is_there(default_identity()):
            raise WrongKeyError("you have no identity yet", "make one with `photoguard keygen`")
        ask = asked(passphrase) or _refused
        text = identities.unlocked(files.read_file(Path(path or default_identity()), limits.KEYS), ask)
        identities.parse_identities(text, ask)  # raises when it is none
        return cls(text.decode())

    @property
    def recipients(self) -> tuple[str, ...]:
        """The public keys that files for you are encrypted to: your own first, then your recovery key."""
        return public_keys.of_identity(self.text).recipients

    @property
    def public(self) -> str:
        """The text to give to others: they encrypt to you with it and tell what you made."""
        return public_keys.of_identity(self.text).to_text()

    @property
    def signer(self) -> Signer | None:
        """Your signing key; an SSH key has none."""
        return signing.signer_of(self.text)

    @property
    def keys(self) -> list[identities.Identity]:
        """The secret keys, one by one."""
        return identities.parse_identities(self.text.encode(), _refused)

    def save(self, path: Path | str) -> None:
        """Write it to a file that only you can read, and `public` beside it; nothing is overwritten."""
        path = Path(path)
        public = path.with_name(path.name + PUBLIC)
        for target in (path, public):
            files.refuse_existing(target)
        with files.staged(path.parent, force=False) as stage:
            stage.add(path.name, self.text.encode(), SECRET_MODE)
            stage.add(public.name, self.public.encode(), PUBLIC_MODE)
            stage.publish()
