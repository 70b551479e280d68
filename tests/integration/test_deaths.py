"""Real kernels, brought down in every way of deaths.toml: outcome, title and evidence."""

from collections.abc import Callable
from pathlib import Path

import death_guests
import deaths
import msgspec
import pytest
from conftest import Harness
from deaths import Death
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection
from tiny_guest import ARCH, spec_of

from harness import boot
from harness.job import BootSpec, Initramfs, Transcript, Verdict
from harness.store import Store

pytestmark = [pytest.mark.kernel, pytest.mark.slow]

NONCE = "7f3a9c21"
JUMP_TO_ITSELF = b"\xeb\xfe"


def _of(*by: str) -> list[Death]:
    return [death for death in deaths.read() if death.by in by]


@pytest.mark.parametrize("death", _of(deaths.ANY), ids=lambda death: death.name)
def test_any_kernel(death: Death, tmp_path: Path) -> None:
    verdict, _ = deaths.boot(death, tmp_path)
    assert deaths.difference(death, verdict) == ""


# Two kernels of their own, with all that slows a kernel down.
@pytest.mark.parametrize("death", _of(deaths.CRASH, deaths.NO_KASAN), ids=lambda death: death.name)
def test_crash_kernel(death: Death, tmp_path: Path) -> None:
    verdict, _ = deaths.boot(death, tmp_path)
    assert deaths.difference(death, verdict) == ""


# --- kernels booted otherwise ---------------------------------------------------------------------


class Made:
    """A kernel, the scenario's initramfs, and where to put what is made of them."""

    def __init__(self, harness: Harness, folder: Path) -> None:
        self.harness = harness
        self.folder = folder
        self.store = Store(folder / "cache")

    def _path(self, *arguments: str) -> Path:
        done = self.harness(*arguments)
        assert done.returncode == 0, done.stderr
        return Path(done.stdout.strip())

    def kernel(self, *arguments: str) -> Path:
        return self._path("build", "-q", *arguments)

    def patched(self, image: Path, offset: int) -> Path:
        """Return a copy of an image that does not get past an offset."""
        made = self.folder / image.name
        data = bytearray(image.read_bytes())
        data[offset : offset + len(JUMP_TO_ITSELF)] = JUMP_TO_ITSELF
        made.write_bytes(data)
        return made

    def boot(self, image: Path, words: str = "", **changes: str) -> tuple[Transcript, Verdict]:
        cmdline = boot.kernel_cmdline(ARCH, words, nonce=NONCE, flows=["hang_silent"])
        spec: BootSpec = msgspec.structs.replace(
            spec_of(image, ARCH, deadline_s=2, memory_mib=256, banner="Linux version 6"),
            initramfs=Initramfs(
                path=self._path("initramfs", "-q", "--scenario", "crash"), digest=""
            ),
            nonce=NONCE,
            **{"cmdline": cmdline, **changes},
        )
        transcript = boot.boot(spec, ARCH, store=self.store, accel="tcg")
        return transcript, death_guests.judge(spec, transcript, "hang_silent")


def _is_at(transcript: Transcript, address: int) -> bool:
    return transcript.hang is not None and transcript.hang.cpus[0].address == address


def hang_before_the_console(made: Made) -> Verdict:
    """The first instruction of start_kernel() jumps to itself."""
    image = made.kernel()
    with image.open("rb") as file:
        elf = ELFFile(file)
        symbols = elf.get_section_by_name(".symtab")
        assert isinstance(symbols, SymbolTableSection)
        [symbol] = symbols.get_symbol_by_name("start_kernel") or []
        section = elf.get_section(symbol["st_shndx"])
        offset = section["sh_offset"] + symbol["st_value"] - section["sh_addr"]
    transcript, verdict = made.boot(made.patched(image, offset))
    assert _is_at(transcript, symbol["st_value"])
    return verdict


def hang_in_the_decompressor(made: Made) -> Verdict:
    """So does the first of the decompressor, which the real mode code jumps to at 1 MiB."""
    image = made.kernel("--image", "bzImage")
    sectors = image.read_bytes()[0x1F1]
    transcript, verdict = made.boot(made.patched(image, (sectors + 1) * 512))
    assert _is_at(transcript, 1 << 20)
    return verdict


def wrong_console(made: Made) -> Verdict:
    """The kernel prints where there is no UART."""
    cmdline = f"console=ttyS1 panic=-1 harness.nonce={NONCE} harness.flow=bug"
    return made.boot(made.kernel(), cmdline=cmdline)[1]


def end_forged_by_the_command_line(made: Made) -> Verdict:
    """The echo has the end record that the guest never writes."""
    forged = f'harness.forged="harness: {NONCE} 3 end count=3"'
    transcript, verdict = made.boot(made.kernel(), forged)
    assert forged.encode() in transcript.console
    return verdict


BOOTS: dict[str, Callable[[Made], Verdict]] = {
    function.__name__: function
    for function in (
        hang_before_the_console,
        hang_in_the_decompressor,
        wrong_console,
        end_forged_by_the_command_line,
    )
}


@pytest.mark.parametrize("death", _of(deaths.BOOT), ids=lambda death: death.name)
def test_kernel_booted_otherwise(death: Death, harness: Harness, tmp_path: Path) -> None:
    verdict = BOOTS[death.name](Made(harness, tmp_path))
    assert death.differs(verdict.outcome, verdict.reason, verdict.evidence) == ""
