"""packages, apt: kernels from a mirror, in suites that this machine has not enabled."""

import json
import os
import time
from pathlib import Path

import pytest
from images import bzimage, deb
from upstream import make_mirror, make_tarball

from harness import arch, foreign, packages
from harness.errors import HostError, UsageError
from harness.store import Store

ARCH = arch.load("x86_64")
CONFIG = b"# Linux/x86 6.12.1 Kernel Configuration\nCONFIG_PRINTK=y\n"


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine whose apt has a mirror with a kernel in three packages; gives its folder."""
    folder = tmp_path / "debs"
    folder.mkdir()
    debs = [
        deb(
            folder / "image.deb",
            {},
            name="linux-image-6.12.1-amd64",
            version="6.12.1-1",
            depends="kmod, linux-base (>= 4), linux-binary-6.12.1-amd64 (= 6.12.1-1), "
            "linux-base-6.12.1-amd64 (= 6.12.1-1)",
        ),
        deb(
            folder / "binary.deb",
            {"usr/lib/modules/6.12.1-amd64/vmlinuz": bzimage()},
            name="linux-binary-6.12.1-amd64",
            version="6.12.1-1",
        ),
        deb(
            folder / "base.deb",
            {"usr/lib/modules/6.12.1-amd64/config": CONFIG},
            name="linux-base-6.12.1-amd64",
            version="6.12.1-1",
        ),
    ]
    tarball = make_tarball(tmp_path / "linux-6.18.5.tar.xz")
    config = make_mirror(tmp_path / "mirror", tarball, "6.18.5", debs=debs)
    monkeypatch.setenv("APT_CONFIG", str(config))
    return tmp_path / "mirror"


def pool(mirror: Path) -> Path:
    return mirror / "repo/pool/main/l/linux"


@pytest.mark.usefixtures("mirror")
@pytest.mark.parametrize("version", ["", "=6.12.1-1"])
def test_a_kernel_is_found_through_what_it_depends_on(store: Store, version: str) -> None:
    kernel = foreign.find(f"deb:linux-image-6.12.1-amd64{version}", ARCH, store)
    assert kernel.release == "6.12.1-amd64"
    assert kernel.image.read_bytes() == bzimage()
    assert kernel.config is not None
    assert kernel.config.read_bytes() == CONFIG
    assert "CONFIG_PROC_FS" in kernel.lacks
    assert "CONFIG_PRINTK" not in kernel.lacks


def test_the_machines_own_lists_stay_as_they_are(mirror: Path, store: Store) -> None:
    packages.fetch("linux-binary-6.12.1-amd64", ARCH, store)
    assert not list((mirror / "state/lists").glob("*Packages*"))


def test_a_second_time_needs_no_mirror(mirror: Path, store: Store) -> None:
    first = packages.fetch("linux-image-6.12.1-amd64", ARCH, store)
    (mirror / "repo").rename(mirror / "gone")
    assert packages.fetch("linux-image-6.12.1-amd64", ARCH, Store(store.root)) == first


def test_an_old_answer_is_asked_for_again(mirror: Path, store: Store) -> None:
    packages.fetch("linux-binary-6.12.1-amd64", ARCH, store)
    (mirror / "repo").rename(mirror / "gone")
    long_ago = time.time() - 2 * 86400
    for path in (store.root / "apt/packages-amd64").rglob("*"):
        if path.suffix == ".json" or path.name.startswith("asked-"):
            os.utime(path, (long_ago, long_ago))
    # apt's lists of then are still there, and so is the package.
    assert packages.fetch("linux-binary-6.12.1-amd64", ARCH, store)
    with pytest.raises(HostError, match="cannot ask the mirror"):
        packages.fetch("linux-binary-6.12.2-amd64", ARCH, store)


@pytest.mark.usefixtures("mirror")
def test_a_package_that_nobody_has_names_the_nearest(store: Store) -> None:
    with pytest.raises(UsageError, match="no suite has this package") as caught:
        packages.fetch("linux-image-6.12.2-amd64", ARCH, store)
    assert str(caught.value.hint).startswith("the nearest are linux-image-6.12.1-amd64")


@pytest.mark.usefixtures("mirror")
def test_a_version_that_nobody_has_names_those_there_are(store: Store) -> None:
    with pytest.raises(UsageError, match="no suite has this version") as caught:
        packages.fetch("linux-image-6.12.1-amd64=6.12.1-2", ARCH, store)
    assert caught.value.hint == "there is 6.12.1-1"


@pytest.mark.parametrize("word", ["", "Linux", "linux image", "linux-*", "linux=", "-o=x"])
def test_what_is_no_package_name_is_never_given_to_apt(store: Store, word: str) -> None:
    with pytest.raises(UsageError, match="not a package"):
        packages.fetch(word, ARCH, store)
    assert not (store.root / "apt").exists()


def test_a_package_that_is_not_what_the_index_says_is_refused(mirror: Path, store: Store) -> None:
    path = pool(mirror) / "binary.deb"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + b"!")
    with pytest.raises(HostError, match=r"cannot download linux-binary-6\.12\.1-amd64"):
        packages.fetch("linux-binary-6.12.1-amd64", ARCH, store)
    assert not list((store.root / "store").glob("package/*"))
    path.write_bytes(whole)
    assert packages.fetch("linux-binary-6.12.1-amd64", ARCH, store)


def test_an_index_without_its_signature_is_not_believed(mirror: Path, store: Store) -> None:
    signed = mirror / "repo/dists/sid/InRelease"
    signed.write_text(signed.read_text().replace("Codename: sid", "Codename: sad"))
    with pytest.raises(HostError, match=r"cannot ask the mirror: .* is not signed"):
        packages.fetch("linux-binary-6.12.1-amd64", ARCH, store)


def test_a_machine_without_a_mirror(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "apt.conf"
    config.write_text('Dir::Etc::sourcelist "/dev/null";\nDir::Etc::sourceparts "-";\n')
    monkeypatch.setenv("APT_CONFIG", str(config))
    with pytest.raises(HostError, match="no Debian mirror configured"):
        packages.fetch("linux-image-6.12.1-amd64", ARCH, store)


@pytest.mark.usefixtures("mirror")
def test_a_damaged_note_is_asked_for_again(store: Store) -> None:
    first = packages.fetch("linux-binary-6.12.1-amd64", ARCH, store)
    (note,) = (store.root / "apt/packages-amd64/answers").iterdir()
    assert first[0].sha256 in json.loads(note.read_bytes())["files"]
    note.write_text("[{")
    assert packages.fetch("linux-binary-6.12.1-amd64", ARCH, store) == first
