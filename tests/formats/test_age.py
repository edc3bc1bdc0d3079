"""Private files are plain age files: the age program opens ours, and ours opens what it writes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from support.nursery import Nursery
from support.small_photos import REGION, pair

from photoguard.errors import UnreadableError, UsageError, WrongKeyError
from photoguard.formats import identities
from photoguard.formats.identities import Recipients
from photoguard.formats.private import PrivateFile

needs_age = pytest.mark.program("age")
needs_ssh = pytest.mark.program("ssh-keygen")


def age(*args: object, data: bytes = b"") -> bytes:
    done = subprocess.run(
        ["age", *map(os.fspath, map(str, args))], input=data, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def own_identity(nursery: Nursery) -> Path:
    return nursery.home / ".config" / "photoguard" / "identity"


def ssh_key(path: Path, kind: str) -> Path:
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", "me@here", "-f", path], check=True)
    return path


@needs_age
def test_age_opens_our_private_file(nursery: Nursery, photo: Path) -> None:
    nursery.run("encrypt", photo, *REGION)
    public, private = pair(photo)
    file = PrivateFile.from_bytes(age("--decrypt", "-i", own_identity(nursery), private))
    assert [grant.number for grant in file.grants] == [1]
    record = json.loads(nursery.run("inspect", public, "--json").stdout)
    assert file.photo_id.hex() == record["id"]


@needs_age
@pytest.mark.parametrize("armor", [False, True])
def test_we_open_what_age_wrote(nursery: Nursery, photo: Path, armor: bool) -> None:
    """A user takes a private file apart and puts it together again with age alone."""
    nursery.run("encrypt", photo, *REGION)
    public, private = pair(photo)
    plain = age("--decrypt", "-i", own_identity(nursery), private)
    recipient = nursery.run("recipients").stdout.split()[1]
    private.write_bytes(age("--encrypt", *(["--armor"] if armor else []), "-r", recipient, data=plain))
    nursery.run("verify", public)
    assert json.loads(nursery.run("inspect", private, "--json").stdout)["opens_with"] == ["X25519"]


@needs_age
def test_identities_and_recipients_are_those_of_age(nursery: Nursery, photo: Path, tmp_path: Path) -> None:
    theirs, ours = tmp_path / "theirs.key", tmp_path / "ours.key"
    subprocess.run(["age-keygen", "-o", theirs], capture_output=True, check=True)
    nursery.run("keygen", "-o", ours)
    for key in (theirs, ours):
        made = subprocess.run(["age-keygen", "-y", key], capture_output=True, text=True, check=True).stdout
        assert nursery.run("recipients", key).stdout.splitlines()[0] == f"recipient  {made.strip()}"
    to = nursery.run("recipients", theirs).stdout.split()[1]
    listed = tmp_path / "recipients.txt"
    listed.write_text(f"# my friends\n\n{to}\r\n")
    nursery.run("encrypt", photo, *REGION, "--to", listed, "--to", ours)
    public, private = pair(photo)
    for key in (theirs, ours):
        nursery.run("verify", public, "--key", key)
        PrivateFile.from_bytes(age("--decrypt", "-i", key, private))
    nursery.run("verify", public, code=5)
    assert json.loads(nursery.run("inspect", private, "--json").stdout)["opens_with"] == ["X25519", "X25519"]


@needs_ssh
@pytest.mark.parametrize("kind", ["ed25519", "rsa"])
def test_ssh_keys_of_both_sides(nursery: Nursery, photo: Path, tmp_path: Path, kind: str) -> None:
    key = ssh_key(tmp_path / "id", kind)
    line = key.with_suffix(".pub").read_text().strip()
    public, private = pair(photo)
    for to in (line, key.with_suffix(".pub")):
        nursery.run("encrypt", photo, *REGION, "--to", to, "--force")
        nursery.run("verify", public, "--key", key)
        nursery.run("verify", public, code=5)
    opens_with = json.loads(nursery.run("inspect", private, "--json").stdout)["opens_with"]
    assert opens_with[0].startswith(f"ssh-{kind} "), "with the key's tag, so that its owner finds it"
    if shutil.which("age"):
        plain = age("--decrypt", "-i", key, private)
        PrivateFile.from_bytes(plain)
        private.write_bytes(age("--encrypt", "-r", line, data=plain))
        nursery.run("verify", public, "--key", key)


@needs_ssh
def test_ssh_keys_that_do_not_work_are_named(nursery: Nursery, photo: Path, tmp_path: Path) -> None:
    stranger = ssh_key(tmp_path / "stranger", "ed25519")
    curve = ssh_key(tmp_path / "curve", "ecdsa")
    locked = tmp_path / "locked"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "words words", "-f", locked], check=True)
    nursery.run("encrypt", photo, *REGION)
    public = pair(photo)[0]
    nursery.run("verify", public, "--key", stranger, code=5)
    for key in (curve, locked):
        done = nursery.run("verify", public, "--key", key, code=None)
        assert done.code in (3, 5), done.stderr
    nursery.run("encrypt", photo, *REGION, "--force", "--to", curve.with_suffix(".pub"), code=2)


def test_a_passphrase_file_is_a_passphrase_file(nursery: Nursery, photo: Path) -> None:
    nursery.run("encrypt", photo, *REGION, "--passphrase", typed="four random words here\n")
    public, private = pair(photo)
    assert json.loads(nursery.run("inspect", private, "--json").stdout)["opens_with"] == ["scrypt"]
    nursery.run("verify", public, typed="four random words here\n")
    nursery.run("verify", public, typed="", code=2)


@needs_age
def test_age_opens_our_passphrase_file(nursery: Nursery, photo: Path) -> None:
    """age reads passphrases from a terminal only, so it gets one."""
    nursery.run("encrypt", photo, *REGION, "--passphrase", typed="four random words here\n")
    private = pair(photo)[1]
    plain = photo.with_name("plain")
    said = at_a_terminal(["age", "--decrypt", "-o", str(plain), str(private)], "four random words here\n")
    assert plain.exists(), said
    PrivateFile.from_bytes(plain.read_bytes())


@needs_age
def test_an_identity_file_that_age_locked(nursery: Nursery, photo: Path, tmp_path: Path) -> None:
    nursery.run("encrypt", photo, *REGION)
    locked = tmp_path / "locked.age"
    command = ["age", "--passphrase", "-o", str(locked), str(own_identity(nursery))]
    said = at_a_terminal(command, "correct horse\n", times=2)
    assert locked.exists(), said
    locked.chmod(0o600)
    public = pair(photo)[0]
    nursery.run("verify", public, "--key", locked, typed="correct horse\n")
    nursery.run("verify", public, "--key", locked, typed="battery staple\n", code=5)


def at_a_terminal(command: list[str], typed: str, times: int = 1) -> str:
    """Run a command on a terminal of its own and type when it asks."""
    import pty

    said = b""
    pid, terminal = pty.fork()
    if not pid:
        os.execvp(command[0], command)
    try:
        for _ in range(times):
            while b"passphrase" not in said.lower().rpartition(b"\n")[2]:
                said += os.read(terminal, 1000)
            os.write(terminal, typed.encode())
            said += b"\n"
        while more := os.read(terminal, 1000):
            said += more
    except OSError:  # the end of a terminal
        pass
    os.close(terminal)
    os.waitpid(pid, 0)
    return said.decode()


def test_our_locked_identity_files_open_with_their_passphrase_only() -> None:
    text, recipient = identities.generate()
    locked = identities.seal(text.encode(), Recipients(passphrase="correct horse"))
    sealed = identities.seal(b"hello", Recipients((identities.parse_recipient(recipient),)))
    opened = identities.parse_identities(locked, lambda _: "correct horse")
    assert identities.unseal(sealed, opened) == b"hello"
    with pytest.raises(WrongKeyError, match="passphrase does not open"):
        identities.parse_identities(locked, lambda _: "battery staple")
    with pytest.raises(UnreadableError, match="not locked with a passphrase"):
        identities.parse_identities(sealed, lambda _: "correct horse")


def test_the_recovery_identity_opens_what_comes_later(nursery: Nursery, photo: Path, tmp_path: Path) -> None:
    """Also after the first identity is lost together with its folder."""
    home = tmp_path / "elsewhere"
    key, spare = home / "me.key", tmp_path / "usb stick" / "spare.key"
    done = nursery.run("keygen", "-o", key, "--recovery", spare)
    assert "proven to open" in done.stderr
    assert nursery.run("recipients", key).stdout.count("recipient  age1") == 2
    nursery.run("encrypt", photo, *REGION, "--to", key.with_name("me.key.pub"))
    shutil.rmtree(home)
    nursery.run("decrypt", pair(photo)[0], "--key", spare)
    assert photo.with_name("photo.restored.png").exists()


def test_a_recovery_identity_that_opens_nothing_is_not_praised(nursery: Nursery, tmp_path: Path) -> None:
    """The proof is made on the two identities as they will be used."""
    broken = "import photoguard.formats.identities as i\nold = i.generate\n"
    broken += "i.generate = lambda: (old()[0], old()[1])"
    done = nursery.run(
        "keygen", "-o", tmp_path / "me.key", "--recovery", tmp_path / "spare.key", code=5, before=broken
    )
    assert "proven" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_key_file_in_the_place_of_a_recipient_is_not_sealed_to_by_mistake(
    nursery: Nursery, photo: Path
) -> None:
    with pytest.raises(UsageError):
        identities.parse_recipients("AGE-SECRET-KEY\n")
    done = nursery.run("encrypt", photo, *REGION, "--to", "age1" + "q" * 58, code=2)
    assert "not a valid recipient" in done.stderr
