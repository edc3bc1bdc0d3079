"""The files of an identity at the command line: which of them decides, who made what, killed runs.

Covers: cli.shared.identity_files, cli.shared.identity_making.
"""

from __future__ import annotations

import base64
import io
import json
import os
import shutil
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.nursery import Nursery
from support.people import asking_for
from support.small_photos import REGION, names, pair

from photoguard.cli.shared import known
from photoguard.cli.shared.keyring import load_signer
from photoguard.cli.shared.voice import Voice, ask_passphrase
from photoguard.errors import DamagedError, UsageError
from photoguard.formats import identities, public_keys, signing
from photoguard.formats.identities import Recipients

WORDS = "four random words\n"
QUICK = "from photoguard.formats import passphrases\npassphrases.WORK = 10"
BOTH = ["identity", "identity.pub"]


def config(newcomer: Nursery) -> Path:
    return newcomer.home / ".config" / "photoguard"


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def attackers() -> str:
    return public_keys.of_identity(identities.generate()[0]).to_text()


# The identity decides


@pytest.mark.parametrize("how", ["replaced", "added", "age only", "signing key", "emptied"])
def test_keys_planted_in_identity_pub_are_refused(newcomer: Nursery, photo: Path, how: str) -> None:
    newcomer.run("keygen")
    public = config(newcomer) / "identity.pub"
    mine = public.read_text()
    theirs = attackers()
    plants = {
        "replaced": theirs,
        "added": mine.partition("#")[0] + theirs.partition("#")[0],
        "age only": theirs.partition("#")[0],
        "signing key": public_keys.signed((mine.split()[0],), signing.throwaway()).to_text(),
        "emptied": "",
    }
    public.write_text(plants[how])
    done = newcomer.run("encrypt", photo, *REGION, code=6)
    assert "identity.pub" in done.stderr and "photoguard keygen" in done.stderr
    newcomer.run("recipients", code=6)
    newcomer.run("keygen", code=6)
    assert names(photo.parent) == ["photo.png"]
    public.unlink()
    newcomer.run("keygen")
    assert public.read_text() == mine
    newcomer.run("encrypt", photo, *REGION)
    newcomer.run("verify", pair(photo)[0])


def test_the_identity_alone_is_enough(newcomer: Nursery, photo: Path) -> None:
    newcomer.run("keygen", "--recovery", newcomer.home / "spare")
    (config(newcomer) / "identity.pub").unlink()
    newcomer.run("encrypt", photo, *REGION)
    newcomer.run("verify", pair(photo)[0])
    newcomer.run("verify", pair(photo)[0], "--key", newcomer.home / "spare")


def test_an_identity_of_an_earlier_version_goes_on_and_learns_to_sign(newcomer: Nursery, photo: Path) -> None:
    text, recipient = identities.generate()
    config(newcomer).mkdir(parents=True)
    (config(newcomer) / "identity").write_text(text)
    (config(newcomer) / "identity.pub").write_text(recipient + "\n")
    newcomer.run("encrypt", photo, *REGION)
    newcomer.run("verify", pair(photo)[0])
    newcomer.run("keygen")
    assert (config(newcomer) / "identity.pub").read_text() == public_keys.of_identity(text).to_text()
    assert (config(newcomer) / "identity").read_text() == text
    newcomer.run("keygen", code=8)


def test_a_recovery_key_that_only_identity_pub_knows_is_asked_about(newcomer: Nursery, photo: Path) -> None:
    """Earlier versions kept it there alone, where nobody can tell it from a planted one."""
    (text, own), (_, spare) = identities.generate(), identities.generate()
    config(newcomer).mkdir(parents=True)
    identity = config(newcomer) / "identity"
    identity.write_text(text)
    (config(newcomer) / "identity.pub").write_text(f"{own}\n{spare}\n")
    line = f"# recovery: {spare}"
    assert line in newcomer.run("encrypt", photo, *REGION, code=6).stderr
    identity.write_text(f"{line}\n{text}")
    newcomer.run("encrypt", photo, *REGION)
    opens_with = json.loads(newcomer.run("inspect", pair(photo)[1], "--json").stdout)["opens_with"]
    assert opens_with == ["X25519", "X25519"]


def test_a_locked_identity_encrypts_without_its_passphrase_and_is_not_fooled(
    newcomer: Nursery, photo: Path
) -> None:
    newcomer.run("keygen", "--passphrase", typed=WORDS)
    public, sign = (config(newcomer) / f"identity.{ending}" for ending in ("pub", "sign"))
    assert mode(sign) == 0o600
    newcomer.run("encrypt", photo, *REGION)
    newcomer.run("verify", pair(photo)[0], typed=WORDS)
    mine, secret, theirs = public.read_text(), sign.read_text(), attackers()
    signs_as = "".join(line + "\n" for line in mine.splitlines() if line.startswith("#"))
    for planted in (theirs, theirs.partition("#")[0], theirs.partition("#")[0] + signs_as):
        public.write_text(planted)
        newcomer.run("encrypt", photo, *REGION, "--force", code=6)
    public.write_text(mine)
    for damaged in ("00" * 32, "xyz", "ü"):
        sign.write_text(damaged)
        newcomer.run("encrypt", photo, *REGION, "--force", code=6)
    sign.unlink()
    public.unlink()
    assert "keygen" in newcomer.run("encrypt", photo, *REGION, "--force", code=5).stderr
    newcomer.run("keygen", "--passphrase", typed=WORDS)
    assert (public.read_text(), sign.read_text()) == (mine, secret)
    newcomer.run("keygen", "--passphrase", typed=WORDS, code=8)


def test_an_identity_that_is_gone_is_missed_before_anything_is_sealed(newcomer: Nursery, photo: Path) -> None:
    newcomer.run("keygen")
    (config(newcomer) / "identity").unlink()
    for command in (("encrypt", photo, *REGION), ("recipients",)):
        done = newcomer.run(*command, code=5)
        assert "identity is gone" in done.stderr and "backup" in done.stderr
    assert names(photo.parent) == ["photo.png"] and "identity" not in names(config(newcomer))


def test_an_ssh_key_as_identity(newcomer: Nursery, photo: Path) -> None:
    from support.people import ssh_key

    config(newcomer).mkdir(parents=True)
    (config(newcomer) / "identity").write_bytes(ssh_key())
    (config(newcomer) / "identity").chmod(0o600)
    newcomer.run("encrypt", photo, *REGION)
    newcomer.run("verify", pair(photo)[0])
    (config(newcomer) / "identity.pub").write_text(attackers())
    newcomer.run("encrypt", photo, *REGION, "--force", code=6)


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077, 0o047])
def test_modes_do_not_depend_on_the_umask(newcomer: Nursery, umask: int) -> None:
    before = f"import os\nos.umask({umask})"
    newcomer.run("keygen", "--passphrase", "--recovery", newcomer.home / "spare", typed=WORDS, before=before)
    found = {path.name: mode(path) for path in config(newcomer).iterdir()}
    assert found == {
        "identity": 0o600, "identity.pub": 0o644, "identity.sign": 0o600, "journal.key": 0o600,
    }  # fmt: skip
    assert mode(config(newcomer)) == 0o700 and mode(newcomer.home / "spare") == 0o600
    config(newcomer).chmod(0o755)
    newcomer.run("recipients", "--as", "ana", shared(newcomer.home / "ana.pub"), before=before)
    assert mode(config(newcomer)) == 0o700 and mode(config(newcomer) / "known" / "ana.pub") == 0o644


def test_no_command_does_the_work_that_a_file_asks_for(newcomer: Nursery, photo: Path) -> None:
    """Work factor 22 is 4 GB of memory; nothing asks for the passphrase, and standard input is empty."""
    newcomer.run("keygen")
    newcomer.run("encrypt", photo, *REGION)
    public, bomb = pair(photo)[0], photo.with_name("bomb.age")
    bomb.write_bytes(asking_for(22))
    bomb.chmod(0o600)
    for command in (
        ("decrypt", public, "--private", bomb), ("decrypt", public, "--key", bomb),
        ("verify", public, "--key", bomb),
        ("grant", bomb, "--to", "self"), ("keygen", "-o", bomb), ("classify", bomb, "--key", bomb),
        ("encrypt", photo, *REGION, "--force", "-m", "avp", "--key-model", bomb),
    ):  # fmt: skip
        done = newcomer.run(*command, code=None)
        assert (done.code, "work factor 22" in done.stderr) == (6, True), f"{command}: {done.stderr}"


# Killed


@pytest.mark.parametrize("options", [("--recovery", "usb/spare"), ("--passphrase",), ()])
def test_keygen_can_be_run_again_wherever_it_was_killed(newcomer: Nursery, options: tuple[str, ...]) -> None:
    command = ("keygen", *options)
    for at in range(100):
        shutil.rmtree(newcomer.home)
        newcomer.home.mkdir()
        kept = {"typed": WORDS, "cwd": newcomer.home, "before": QUICK}
        killed = newcomer.run(*command, code=None, die_at=at, within=newcomer.home, **kept)
        for left in newcomer.home.rglob(".photoguard-*"):  # a minute later
            os.utime(left, (0, 0))
        if killed.code == 0:
            break
        assert killed.code == -9
        again = newcomer.run(*command, code=None, **kept)
        if again.code == 8:  # nothing was missing but the last words
            assert "identity already exists" in again.stderr
        else:
            assert again.code == 0, again.stderr
        whole_identity(newcomer, options)
    assert at > 10


def whole_identity(newcomer: Nursery, options: tuple[str, ...]) -> None:
    """Everything is there, belongs together, and nothing is left over."""
    sign = ["identity.sign"] if "--passphrase" in options else []
    assert names(config(newcomer)) == [*BOTH, *sign, "journal.key"]
    data = (config(newcomer) / "identity").read_bytes()
    text = identities.unlocked(data, lambda _: WORDS.strip())
    keys = public_keys.of_identity(text.decode())
    assert (config(newcomer) / "identity.pub").read_text() == keys.to_text()
    if "--recovery" in options:
        assert names(newcomer.home / "usb") == ["spare"]
        spare = identities.parse_identities((newcomer.home / "usb" / "spare").read_bytes(), str)
        assert identities.unseal(identities.seal(b"x", Recipients(keys.recipients)), spare) == b"x"


def test_a_draft_is_not_forgotten_and_a_strange_recovery_file_not_taken(
    newcomer: Nursery, photo: Path
) -> None:
    spare = newcomer.home / "usb" / "spare"
    kill = "import os, signal\nimport photoguard.cli.shared.identity_making as f\nold = f.publish\n"
    kill += (
        "def publish(*args):\n old(*args)\n if args[0].name == 'usb': os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    newcomer.run("keygen", "--recovery", spare, code=-9, before=kill + "f.publish = publish")
    assert names(config(newcomer)) == [".identity.unfinished", "journal.key"] and spare.exists()
    for command in (("keygen",), ("encrypt", photo, *REGION)):
        assert "cut off" in newcomer.run(*command, code=8).stderr
    mine = spare.read_bytes()
    spare.write_text(identities.generate()[0])
    newcomer.run("keygen", "--recovery", spare, code=8)
    assert names(config(newcomer)) == [".identity.unfinished", "journal.key"]
    spare.write_bytes(mine)
    newcomer.run("keygen", "--recovery", spare)
    whole_identity(newcomer, ("--recovery",))
    assert spare.read_bytes() == mine


# Others


def shared(path: Path) -> Path:
    path.write_text(attackers())
    return path


def test_somebody_kept_by_name_is_sealed_to(newcomer: Nursery, photo: Path) -> None:
    newcomer.run("keygen", "-o", newcomer.home / "ana.key")
    done = newcomer.run("recipients", newcomer.home / "ana.key.pub", "--as", "Ana B.")
    signs_as = (newcomer.home / "ana.key.pub").read_text().partition("signs as: ")[2].split()[0]
    assert signs_as in done.stderr
    shared(photo.with_name("Ana B."))  # somebody puts a file of that name into the folder
    newcomer.run("encrypt", photo, *REGION, "--to", "Ana B.", cwd=photo.parent)
    newcomer.run("verify", pair(photo)[0], "--key", newcomer.home / "ana.key")
    newcomer.run("encrypt", photo, *REGION, "--to", "./Ana B.", "--force", cwd=photo.parent)
    newcomer.run("verify", pair(photo)[0], "--key", newcomer.home / "ana.key", code=5)


def test_names_are_kept_with_care(newcomer: Nursery, tmp_path: Path) -> None:
    newcomer.run("keygen")
    ana, eve = shared(tmp_path / "ana.pub"), shared(tmp_path / "eve.pub")
    kept = config(newcomer) / "known" / "ana.pub"
    newcomer.run("recipients", ana, "--as", "ana")
    assert "already exists" in newcomer.run("recipients", eve, "--as", "ana", code=8).stderr
    assert "keys of ana" in newcomer.run("recipients", ana, "--as", "anna", code=2).stderr
    assert kept.read_text() == ana.read_text()
    newcomer.run("recipients", eve, "--as", "ana", "--force")
    assert kept.read_text() == eve.read_text()
    newcomer.run("recipients", config(newcomer) / "identity.pub", "--as", "me", code=2)
    for name in ("you", "YOU", "self", "../x", "a/b", ".x", "", "age1x", "ssh-x", "-x", "x" * 65, "a\nb"):
        newcomer.run("recipients", ana, f"--as={name}", code=2)
    newcomer.run("recipients", config(newcomer) / "identity", "--as", "me", code=2)
    newcomer.run("recipients", "--as", "me", code=2)
    newcomer.run("recipients", ana, "--force", code=2)
    altered = ana.read_text().replace(ana.read_text().split()[0], identities.generate()[1])
    ana.write_text(altered)
    newcomer.run("recipients", ana, "--as", "bea", code=6)
    assert names(kept.parent) == ["ana.pub"]


def test_recipients_says_what_it_prints(newcomer: Nursery, photo: Path) -> None:
    newcomer.run("keygen")
    text = (config(newcomer) / "identity").read_text()
    keys = public_keys.of_identity(text)
    assert keys.signer
    wanted = f"recipient  {keys.recipients[0]}\nsigns as   {keys.signer.hex()}\n"
    for args in ((), (config(newcomer) / "identity",), (config(newcomer) / "identity.pub",)):
        assert newcomer.run("recipients", *args).stdout == wanted
    newcomer.run("encrypt", photo, *REGION)
    private = pair(photo)[1]
    assert newcomer.run("recipients", private).stdout == "opens with  X25519\n"
    head, foot = (f"-----{word} AGE ENCRYPTED FILE-----\n".encode() for word in ("BEGIN", "END"))
    private.write_bytes(head + base64.encodebytes(private.read_bytes()) + foot)
    assert newcomer.run("recipients", private, "--json").stdout == '{"opens_with": "X25519"}\n'
    with private.open("wb") as sparse:
        sparse.truncate(1 << 31)
    assert "more than" in newcomer.run("recipients", private, code=3).stderr


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A config folder for calls in this process."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    (tmp_path / "photoguard").mkdir()
    return tmp_path / "photoguard"


def test_who_made_a_file(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    voice, (text, _) = Voice(), identities.generate()
    nobody = load_signer(voice)
    assert nobody != load_signer(voice) and "no identity" in capsys.readouterr().err
    assert known.signers(voice).get(nobody.public) is None
    (home / "identity").write_text(text)
    (home / "identity").chmod(0o644)
    mine = load_signer(voice)
    assert mine == signing.signer_of(text) and "others can read" in capsys.readouterr().err
    (home / "identity").chmod(0o600)
    assert mine == load_signer(voice) and not capsys.readouterr().err
    assert known.signers(voice).get(mine.public) == "you"
    ana, _ = identities.generate()
    hers = signing.signer_of(ana)
    assert hers and known.signers(voice).get(hers.public) is None
    assert known.signers(voice, identities.parse_identities(ana.encode(), str)).get(hers.public) == "you"
    known.remember("ana", public_keys.of_identity(ana), voice)
    (home / "known" / "bad.pub").write_text("rubbish")
    assert known.signers(voice).get(hers.public) == "ana"
    assert "bad.pub is passed over" in capsys.readouterr().err
    assert known.signers(voice) == {mine.public: "you", hers.public: "ana"}
    (home / "known" / "me.pub").write_text(public_keys.of_identity(text).to_text())
    assert known.signers(voice).get(mine.public) == "you", "a name that was planted does not hide you"
    with pytest.raises(UsageError):
        known.keys_of("../identity")


def test_who_signs_for_a_locked_identity(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text, recipient = identities.generate()
    (home / "identity").write_bytes(identities.seal(text.encode(), Recipients(passphrase="words")))
    (home / "identity.pub").write_text(recipient)
    stranger = load_signer(Voice())
    assert stranger != load_signer(Voice()) and "identity.sign is missing" in capsys.readouterr().err
    mine = signing.signer_of(text)
    assert mine
    (home / "identity.sign").write_text(mine.seed.hex() + "\n")
    assert load_signer(Voice()) == mine and known.signers(Voice()).get(mine.public) == "you"
    (home / "identity.sign").write_text(mine.seed.hex()[2:])
    with pytest.raises(DamagedError, match="is damaged"):
        load_signer(Voice())


@pytest.mark.parametrize("how", ["strict", "surrogateescape"])
def test_a_passphrase_that_is_not_text_is_a_usage_error(monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\xff\xfe\n"), "utf-8", how))
    with pytest.raises(UsageError, match="not valid UTF-8"):
        ask_passphrase("Passphrase")


# Changed


def died_everywhere(newcomer: Nursery, before: tuple[str, ...], command: tuple[str, ...]) -> Iterator[int]:
    """Kill a command at each of its steps, after another one; after each kill it runs again."""
    kept = {"typed": WORDS, "cwd": newcomer.home, "before": QUICK}
    newcomer.run(*before, code=None, **kept)
    start = newcomer.home.with_name("start")
    shutil.copytree(newcomer.home, start)
    for at in range(100):
        shutil.rmtree(newcomer.home)
        shutil.copytree(start, newcomer.home)
        killed = newcomer.run(*command, code=None, die_at=at, within=newcomer.home, **kept)
        if killed.code == 0:
            break
        for left in newcomer.home.rglob(".photoguard-*"):  # a minute later
            os.utime(left, (0, 0))
        newcomer.run(*command, **kept)
        yield at
    assert at > 5


@pytest.mark.parametrize("locked", [(), ("--passphrase",)])
def test_a_recovery_identity_joins_an_identity_wherever_it_was_killed(
    newcomer: Nursery, locked: tuple[str, ...]
) -> None:
    for _ in died_everywhere(newcomer, ("keygen", *locked), ("keygen", "--recovery", "usb/spare")):
        whole_identity(newcomer, ("--recovery", *locked))


@pytest.mark.parametrize("locked", [(), ("--passphrase",)])
def test_rotating_loses_no_identity_wherever_it_was_killed(
    newcomer: Nursery, locked: tuple[str, ...]
) -> None:
    home, names_of_old = config(newcomer), {"identity.old-1", "identity.old-2"}
    newcomer.run("keygen", *locked, "--recovery", "usb/spare", typed=WORDS, cwd=newcomer.home, before=QUICK)
    first = (home / "identity").read_bytes()
    for _ in died_everywhere(newcomer, ("recipients",), ("keygen", "--rotate")):
        kept = {path.name: path.read_bytes() for path in home.glob("identity.old-?")}
        assert set(kept) <= names_of_old and kept["identity.old-1"] == first
        now = (home / "identity").read_bytes()
        text = identities.unlocked(now, lambda _: WORDS.strip()).decode()
        keys = public_keys.of_identity(text)
        assert now not in kept.values() and (home / "identity.pub").read_text() == keys.to_text()
        spare = identities.parse_identities((newcomer.home / "usb" / "spare").read_bytes(), str)
        assert identities.unseal(identities.seal(b"x", Recipients(keys.recipients)), spare) == b"x"
        assert identities.is_locked(now) is bool(locked)
        assert (home / "identity.old-1.sign").exists() is bool(locked)


def test_what_was_encrypted_before_rotating_opens_and_is_yours(newcomer: Nursery, photo: Path) -> None:
    typed = {"typed": WORDS, "before": QUICK}
    newcomer.run("keygen", "--passphrase", **typed)
    newcomer.run("encrypt", photo, *REGION, **typed)
    newcomer.run("keygen", "--rotate", **typed)
    assert "made by you" in newcomer.run("verify", photo.with_suffix(".pub.png"), **typed).stdout


def test_a_recovery_file_that_is_somebody_elses_is_kept(newcomer: Nursery, photo: Path) -> None:
    spare = newcomer.home / "spare"
    newcomer.run("keygen")
    other = identities.generate()[0]
    spare.write_text(other)
    assert "name another" in newcomer.run("keygen", "--recovery", spare, code=8).stderr
    newcomer.run("keygen", "--recovery", config(newcomer) / "identity", code=2)
    newcomer.run("keygen", "--rotate", "--recovery", spare, code=8)
    assert spare.read_text() == other and names(config(newcomer)) == [*BOTH, "journal.key"]


# Sealed anew


def test_private_files_are_sealed_to_the_keys_of_today(newcomer: Nursery, photo: Path) -> None:
    newcomer.run("keygen")
    newcomer.run("encrypt", photo, *REGION)
    newcomer.run("keygen", "--rotate", "--recovery", "spare", cwd=newcomer.home)
    picture, spare = photo.with_suffix(".pub.png"), newcomer.home / "spare"
    newcomer.run("verify", picture, "--key", spare, code=5)
    foreign = photo.with_name("photo.bob.priv")
    foreign.write_bytes(
        identities.seal(b"x", Recipients(tuple(identities.recipients_of(identities.generate()[0]))))
    )
    theirs = foreign.read_bytes()
    done = newcomer.run("grant", "--reseal", photo.parent)
    assert "photo.priv: sealed anew" in done.stdout and "photo.bob.priv: left alone" in done.stdout
    assert foreign.read_bytes() == theirs
    newcomer.run("grant", "--reseal", foreign, code=5)
    for key in (spare, config(newcomer) / "identity"):
        assert "made by you" in newcomer.run("verify", picture, "--key", key).stdout
    newcomer.run("verify", picture, "--key", config(newcomer) / "identity.old-1", code=5)


def test_sealing_anew_takes_nothing_from_others_unasked(newcomer: Nursery, photo: Path) -> None:
    newcomer.run("keygen")
    friend = identities.generate()[0]
    newcomer.run("encrypt", photo, *REGION, "--to", identities.recipients_of(friend)[0], "--to", "self")
    private = photo.with_suffix(".priv")
    before = private.read_bytes()
    assert "others open it too" in newcomer.run("grant", "--reseal", private, code=2).stderr
    assert private.read_bytes() == before
    newcomer.run("grant", "--reseal", private, "--to", "self")
    assert len(identities.stanzas(private.read_bytes())) == 1
    newcomer.run("verify", photo.with_suffix(".pub.png"))
