"""The environment without torch of docs/guide/install.md."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
from support.places import ROOT

PAGE = (ROOT / "docs" / "guide" / "install.md").read_text("utf-8")
BLOCK = re.findall(r"^```sh\n(.*?)^```$", PAGE, re.M | re.S)[0]


def test_the_page_installs_every_requirement_but_torch() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    named = {re.split("[<>=]", word)[0] for word in BLOCK.split() if not word.startswith("small/")}
    wanted = {re.split("[<>=]", requirement)[0] for requirement in project["dependencies"]}
    assert wanted - named == {"torch"}
    assert {word for word in BLOCK.split() if "==" in word} <= {*project["dependencies"]}


@pytest.mark.slow
def test_everyday_commands_in_an_environment_without_torch(tmp_path: Path) -> None:
    """About a minute; needs a package index."""
    block = re.sub(r" \.$", f" {ROOT}", BLOCK, flags=re.M)
    subprocess.run(["bash", "-euo", "pipefail", "-c", block], cwd=tmp_path, check=True)
    libraries = next((tmp_path / "small").glob("lib/python3*/site-packages"))
    assert not (libraries / "torch").exists()
    assert sum(path.lstat().st_size for path in libraries.rglob("*")) < 600_000_000
    shutil.copy(ROOT / "examples" / "portrait.jpg", tmp_path / "a.jpg")
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / "config")}

    def photoguard(*words: str) -> int:
        return subprocess.run(
            [tmp_path / "small" / "bin" / "photoguard", *words], cwd=tmp_path, env=env, check=False
        ).returncode

    for words in (
        ("encrypt", "a.jpg"), ("verify", "a.pub.png"), ("decrypt", "a.pub.png"), ("detect", "a.jpg"),
        ("features", "a.jpg"), ("classify", "a.features"), ("match", "a.jpg", "a.jpg"),
    ):  # fmt: skip
        assert photoguard(*words) == 0, words
    assert photoguard("encrypt", "a.jpg", "--method", "avp", "--force") == 7
