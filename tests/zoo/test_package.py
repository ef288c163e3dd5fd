"""The zoo in an installed package: where the wheel puts the specs is where archc looks for them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SPECS = {path.name: path.read_bytes() for path in (ROOT / "specs").glob("*.yaml")}


def test_zoo_is_found_where_the_wheel_has_it(tmp_path) -> None:
    config = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    included = config["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    site = tmp_path / "site"
    shutil.copytree(ROOT / "archc", site / "archc", ignore=shutil.ignore_patterns("__pycache__"))
    for source, target in included.items():
        shutil.copytree(ROOT / source, site / target, dirs_exist_ok=True)
    assert {path.name for path in (site / "archc" / "zoo").glob("*.yaml")} == set(SPECS)
    out = run(["check", "resnet18", "lenet5"], site, tmp_path)
    assert out.startswith(f"{Path('site', 'archc', 'zoo', 'resnet.yaml')}: resnet18 is sound: ")


def run(arguments: list[str], site: Path, folder: Path) -> str:
    """What the archc of `site` prints in a folder."""
    done = subprocess.run(
        [sys.executable, "-m", "archc", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.exhaustive
def test_wheel_and_source_archive_hold_the_zoo(tmp_path) -> None:
    """Needs a package index, or hatchling in pip's cache."""
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    tools = tmp_path / "tools"
    subprocess.run([*pip, "install", "-q", "-t", str(tools), "hatchling>=1.24"], check=True)
    environment = {**os.environ, "PYTHONPATH": str(tools)}
    build = [sys.executable, "-m", "hatchling", "build", "-d", str(tmp_path / "dist")]
    subprocess.run(build, cwd=ROOT, env=environment, check=True, capture_output=True)
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    (archive,) = (tmp_path / "dist").glob("*.tar.gz")
    with zipfile.ZipFile(wheel) as files:
        names = [name for name in files.namelist() if name.startswith("archc/zoo/")]
        found = {Path(name).name: files.read(name) for name in names if name.endswith(".yaml")}
        assert found == SPECS
        files.extractall(tmp_path / "site")
    with tarfile.open(archive) as files:
        names = [name for name in files.getnames() if Path(name).parent.name == "specs"]
        assert {Path(name).name for name in names} == set(SPECS)
    out = run(["list", "resnet152"], tmp_path / "site", tmp_path)
    assert out.splitlines()[1].startswith("resnet152 ")
