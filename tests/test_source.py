"""source, kernel_org, debian: where a base comes from, and what is said when it does not."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from upstream import KernelOrg, make_mirror, make_tarball, serve, sha256

from harness import source
from harness.errors import HostError, UsageError
from harness.store import Store


@pytest.fixture
def org(monkeypatch: pytest.MonkeyPatch) -> Iterator[KernelOrg]:
    with serve() as server:
        monkeypatch.setenv("HARNESS_KERNEL_ORG", server.url)
        yield server


@pytest.fixture
def tarball(tmp_path: Path) -> Path:
    return make_tarball(tmp_path / "upstream" / "linux-6.18.5.tar.xz")


@pytest.fixture
def no_apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine whose apt has no repository."""
    config = tmp_path / "apt.conf"
    config.write_text('Dir::Etc::sourcelist "/dev/null";\nDir::Etc::sourceparts "-";\n')
    monkeypatch.setenv("APT_CONFIG", str(config))


@pytest.fixture
def mirror(tmp_path: Path, tarball: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine whose apt has a mirror with 6.18.5 in sid; gives the mirror's folder."""
    config = make_mirror(tmp_path / "mirror", tarball, "6.18.5")
    monkeypatch.setenv("APT_CONFIG", str(config))
    return tmp_path / "mirror"


NO_MIRROR = "Debian: apt on this machine has no Debian mirror configured"


# --- kernel.org ---------------------------------------------------------------------------


def test_kernel_org_is_held_to_its_sums(org: KernelOrg, tarball: Path, store: Store) -> None:
    org.add(tarball, "6.18.5")
    got = source.fetch("6.18.5", store=store)
    assert got.path.read_bytes() == tarball.read_bytes()
    assert got.source == (
        f"kernel.org linux-6.18.5.tar.xz sha256:{sha256(tarball)} "
        "(sums over http, signature not checked)"
    )


def test_cut_download_goes_on_where_it_was(org: KernelOrg, tarball: Path, store: Store) -> None:
    org.add(tarball, "6.18.5")
    org.cut_after = 100
    got = source.fetch("6.18.5", store=store)
    assert got.path.read_bytes() == tarball.read_bytes()
    assert org.asked[-1] == "/v6.x/linux-6.18.5.tar.xz bytes=100-"


def test_partial_of_an_earlier_run_is_used(org: KernelOrg, tarball: Path, store: Store) -> None:
    org.add(tarball, "6.18.5")
    part = store.root / "downloads" / "linux-6.18.5.tar.xz.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(tarball.read_bytes()[:50])
    source.fetch("6.18.5", store=store)
    assert org.asked == ["/v6.x/sha256sums.asc", "/v6.x/linux-6.18.5.tar.xz bytes=50-"]
    assert not part.exists()


def test_partial_that_was_whole_is_used(org: KernelOrg, tarball: Path, store: Store) -> None:
    org.add(tarball, "6.18.5")
    part = store.root / "downloads" / "linux-6.18.5.tar.xz.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(tarball.read_bytes())
    assert source.fetch("6.18.5", store=store).path.read_bytes() == tarball.read_bytes()


def test_server_without_ranges_starts_again(org: KernelOrg, tarball: Path, store: Store) -> None:
    org.add(tarball, "6.18.5")
    org.cut_after, org.has_ranges = 100, False
    assert source.fetch("6.18.5", store=store).path.read_bytes() == tarball.read_bytes()


@pytest.mark.usefixtures("no_apt")
def test_wrong_sum_is_never_used(org: KernelOrg, tarball: Path, store: Store) -> None:
    org.add(tarball, "6.18.5", sum_="0" * 64)
    with pytest.raises(HostError) as caught:
        source.fetch("6.18.5", store=store)
    assert caught.value.message == (
        f"cannot fetch Linux 6.18.5 (kernel.org: linux-6.18.5.tar.xz has sha256 {sha256(tarball)}, "
        f"the sums say {'0' * 64}; {NO_MIRROR})"
    )
    assert not list((store.root / "downloads").glob("linux*"))


@pytest.mark.usefixtures("no_apt")
def test_unreachable_kernel_org_is_the_hosts_fault(
    monkeypatch: pytest.MonkeyPatch, store: Store
) -> None:
    monkeypatch.setenv("HARNESS_KERNEL_ORG", "http://127.0.0.1:9")
    with pytest.raises(HostError) as caught:
        source.fetch("6.18.5", store=store)
    assert caught.value.message == (
        "cannot fetch Linux 6.18.5 (kernel.org: http://127.0.0.1:9/v6.x/sha256sums.asc: "
        f"Connection refused; {NO_MIRROR})"
    )


def test_bad_signature_of_the_sums_is_refused(
    org: KernelOrg, mirror: Path, tarball: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    org.add(tarball, "6.18.5")
    monkeypatch.setenv("HARNESS_KERNEL_ORG_KEYRING", str(mirror / "key.gpg"))
    # The sums bear no signature at all, so the mirror has to serve.
    assert source.fetch("6.18.5", store=store).source.startswith("debian sid ")


def test_good_signature_of_the_sums_is_recorded(
    org: KernelOrg, mirror: Path, tarball: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    org.add(tarball, "6.18.5")
    org.files["/v6.x/sha256sums.asc"] = (mirror / "sums.asc").read_bytes()
    monkeypatch.setenv("HARNESS_KERNEL_ORG_KEYRING", str(mirror / "key.gpg"))
    assert source.fetch("6.18.5", store=store).source.endswith(" (sums signed)")


def test_sums_outside_the_signature_do_not_count(
    org: KernelOrg, mirror: Path, tarball: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    org.add(tarball, "6.18.6")
    unsigned = org.files["/v6.x/sha256sums.asc"]
    org.files["/v6.x/sha256sums.asc"] = (mirror / "sums.asc").read_bytes() + unsigned
    monkeypatch.setenv("HARNESS_KERNEL_ORG_KEYRING", str(mirror / "key.gpg"))
    with pytest.raises(UsageError, match=r"kernel\.org: no such version"):
        source.fetch("6.18.6", store=store)


# --- Debian -------------------------------------------------------------------------------


def test_mirror_serves_what_kernel_org_has_not(
    org: KernelOrg, mirror: Path, tarball: Path, store: Store
) -> None:
    org.files["/v6.x/sha256sums.asc"] = b""
    got = source.fetch("6.18.5", store=store)
    assert got.path.read_bytes() == tarball.read_bytes()
    assert got.source == f"debian sid linux_6.18.5.orig.tar.xz sha256:{sha256(tarball)}"
    assert not list((mirror / "state" / "lists").glob("*Sources*"))


def test_version_that_nobody_has_names_who_was_asked(
    org: KernelOrg, mirror: Path, tarball: Path, store: Store
) -> None:
    org.add(tarball, "6.19.1")
    with pytest.raises(UsageError) as caught:
        source.fetch("6.18.7", store=store)
    repo = f"file:{mirror}/repo"
    missing = "does not have a Release file."
    assert caught.value.message == (
        "--base 6.18.7: no source has this kernel (kernel.org: no such version; "
        f"Debian trixie-backports: The repository '{repo} trixie-backports Release' {missing}; "
        "Debian sid: no such version; "
        f"Debian experimental: The repository '{repo} experimental Release' {missing})"
    )
    assert caught.value.hint == (
        "there is 6.18.5, 6.19.1; or `--tree DIR --base REV` takes a base from your own clone"
    )


def test_tarball_that_is_not_what_the_index_says_is_refused(
    org: KernelOrg, mirror: Path, store: Store
) -> None:
    org.files["/v6.x/sha256sums.asc"] = b""
    (mirror / "repo/pool/main/l/linux/linux_6.18.5.orig.tar.xz").write_bytes(b"something else")
    with pytest.raises(HostError, match=r"^cannot fetch Linux 6.18.5 .*Debian sid: "):
        source.fetch("6.18.5", store=store)
    assert not list((store.root / "downloads").glob("linux*"))


def test_index_without_its_signature_is_not_believed(
    org: KernelOrg, mirror: Path, store: Store
) -> None:
    org.files["/v6.x/sha256sums.asc"] = b""
    signed = mirror / "repo/dists/sid/InRelease"
    signed.write_text(signed.read_text().replace("Codename: sid", "Codename: sad"))
    with pytest.raises(HostError, match=r"Debian sid: .* is not signed"):
        source.fetch("6.18.5", store=store)


# --- the order ----------------------------------------------------------------------------


@pytest.mark.usefixtures("no_apt")
def test_kept_download_needs_no_network(org: KernelOrg, tarball: Path, store: Store) -> None:
    org.add(tarball, "6.18.5")
    first = source.fetch("6.18.5", store=store)
    org.asked.clear()
    assert source.fetch("6.18.5", store=store) == first
    assert org.asked == []
    first.discard()
    assert not list((store.root / "downloads").glob("linux*"))


def test_kept_download_that_changed_is_fetched_again(
    org: KernelOrg, tarball: Path, store: Store
) -> None:
    org.add(tarball, "6.18.5")
    got = source.fetch("6.18.5", store=store)
    got.path.write_bytes(b"changed")
    assert source.fetch("6.18.5", store=store).path.read_bytes() == tarball.read_bytes()
    note = json.loads((store.root / "downloads/linux-6.18.5.tar.xz.source").read_bytes())
    assert note["sha256"] == sha256(tarball)


def test_unwritable_cache_is_named(org: KernelOrg, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(HostError) as caught:
        source.fetch("6.18.5", store=Store(tmp_path / "file" / "harness"))
    assert org.asked == []
    assert caught.value.message == (
        f"cannot write the cache {tmp_path}/file/harness/downloads: Not a directory"
    )
