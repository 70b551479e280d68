"""Gates to report: nullfs with something of everything, the same all well, and a hostile one.

The patches are the project's own, the panic's console is that of a real kernel (corpus/console);
what a gate says of them is made up, and no such gate has been run.
"""

from pathlib import Path
from typing import Any

import msgspec

from harness import diffpaths, printable, series
from harness.check_logs import Logs
from harness.check_result import (
    BaseResult,
    Behaviour,
    BootResult,
    Breakage,
    Changes,
    CheckResult,
    CheckRun,
    Effect,
    Gate,
    Interval,
    Measure,
    PatchResult,
    Severity,
    SizeChange,
    StructChange,
    Uncompiled,
    Verdict,
    WarningResult,
    Word,
)
from harness.result import HostResult

ROOT = Path(__file__).parent.parent
OPTION = "nullfs_rootfs"
DRIVER = "drivers/usb/misc/usbled.c"
UNDECLARED = "implicit declaration of function 'path_pivot_root'"

_DRIVER_DIFF = f"""diff --git a/{DRIVER} b/{DRIVER}
index 3111111..4222222 100644
--- a/{DRIVER}
+++ b/{DRIVER}
@@ -118,5 +118,5 @@ static ssize_t color_store(struct device *dev, struct device_attribute *attr,
 	struct usb_led *led = to_usb_led(dev);
 	unsigned long value;
-	if (kstrtoul(buf, 0, &value))
+	if (kstrtoul(buf, 0, &value) || value > U8_MAX)
 		return -EINVAL;
 	led->color = value;
"""
_PASSED = """\
[    0.000000] Linux version 6.18.5 (harness@harness) (gcc 12.2.0) #1 Thu Jan  1 00:00:00 UTC 1970
[    0.000000] Command line: console=ttyS0 {option}harness.nonce=a6213150 harness.flow=pivot
[    0.102878] pid_max: default: 32768 minimum: 301
[    0.354124] Memory: 244508K/261752K available (3960K kernel code, 748K rwdata)
[    0.385622] Unpacking initramfs...
[    0.443920] Run /init as init process
[    0.491682] harness: a6213150 1 begin proto=1 flow=pivot
[    0.496108] harness: a6213150 2 observe root.fs=tmpfs
[    0.505148] harness: a6213150 3 step pivot.pivot_root
[    0.505507] harness: a6213150 4 observe pivot.pivot_root=EINVAL
[    0.522975] harness: a6213150 5 end count=5
[    0.529310] reboot: Power down
"""


def result() -> CheckResult:
    """Return a gate that found something of everything."""
    whole = series.load("nullfs", search=(ROOT / "patches",))
    told = [_first(), _breaks(), _panics(), _docs()]
    patches = [
        _patch(each.number, each.subject, each.author, each.diff.decode(), **facts)
        for each, facts in zip(whole.patches, told, strict=True)
    ]
    patches.append(
        _patch(5, "usb: misc: usbled: refuse colors that are none", "A. Hacker <a@example.org>",
               _DRIVER_DIFF, **_not_compiled())
    )  # fmt: skip
    reason = (
        f"patch 2 ({patches[1].subject}) does not build: {patches[1].reason}; patch 3 repairs it"
    )
    look_at = [
        reason,
        "patch 3: with `nullfs_rootfs`: panic: dumptest",
        "patch 3: a new warning (compiler): fs/namespace.c:6049: unused variable 'err'",
        f"patch 5 is untested by this config: {DRIVER} is not compiled (CONFIG_USB_LED would)",
    ]
    return CheckResult(
        id="20261125-114107-0badcafe",
        version="0.4.0",
        started="2026-11-25T11:41:07Z",
        seconds=211.4,
        verdict=Verdict(
            outcome=Gate.FINDING,
            reason=reason,
            look_at=look_at,
            hint="move the declaration from patch 3 to patch 2",
        ),
        series="nullfs",
        title="fs: add immutable rootfs",
        message_id="20260112-work-immutable-rootfs-v2-0-88dd1c34a204@kernel.org",
        profile="tiny",
        flavors=["lockdep"],
        kconfig=["CONFIG_DEBUG_VFS=y"],
        arch="x86_64",
        toolchain="gcc",
        scenario="nullfs",
        cmdlines=["", OPTION],
        base=BaseResult(
            name="6.18.5", commit="3" * 40, how="series.toml", config=Word.OK, build=Word.REUSED,
            boot=Word.REUSED, reason="", warnings=14, boots=[_boot(0, "", Word.REUSED, "rootfs")],
        ),
        patches=patches,
        breaks=[
            Breakage(patch=2, stage="build", reason=patches[1].reason, repaired_by=3),
            Breakage(patch=3, stage="boot", reason=patches[2].reason, repaired_by=None),
        ],
        measures=[
            _measure("boot time", "s", (0.5229, 0.5198, 0.5301), (0.5512, 0.5477, 0.5604)),
            _measure("memory at the end", "KiB", (12804, 12800, 12808), (12806, 12800, 12812)),
        ],
        checks=[
            _check("compiler", seconds=41.2, version="gcc (Debian 12.2.0-14+deb12u1) 12.2.0"),
            _check("sparse", why="sparse is not installed: apt-get install sparse"),
            _check("checkpatch", seconds=2.4),
        ],
        host=HostResult(
            harness="0.4.0", python="3.11.2", system="Debian GNU/Linux 12, Linux 6.1", cpus=2,
            tools={"qemu": "QEMU emulator version 7.2.22", "gcc": "gcc 12.2.0"},
        ),
        repro="harness check nullfs --base 6.18.5 --flavor lockdep --kconfig CONFIG_DEBUG_VFS=y",
    )  # fmt: skip


def good() -> CheckResult:
    """Return a gate of the first patch and the documentation alone, that found nothing."""
    whole = result()
    replace = msgspec.structs.replace
    patches = [whole.patches[0], replace(whole.patches[3], number=2)]
    reason = "all 2 patches apply, build and boot on 6.18.5, no new warning"
    verdict = Verdict(outcome=Gate.MERGEABLE, reason=reason, look_at=[])
    return replace(whole, verdict=verdict, patches=patches, breaks=[], measures=[])


def untestable() -> CheckResult:
    """Return a gate whose base does not build, so that nothing of the series is known."""
    whole, reason = result(), "the base 6.18.5 does not build: no rule to make target 'all'"
    replace = msgspec.structs.replace
    words = dict.fromkeys(("config", "build", "boot", "apply"), Word.SKIPPED)
    patches = [
        replace(patch, **words, effect=Effect.UNKNOWN, reason="", evidence=[], warnings_new=[],
                warnings_fixed=[], behaviour=[], boots=[], uncompiled=[], changes=None)
        for patch in whole.patches
    ]  # fmt: skip
    base = replace(whole.base, build=Word.FAILED, boot=Word.SKIPPED, reason=reason, boots=[])
    verdict = Verdict(outcome=Gate.UNTESTABLE, reason=reason, look_at=[])
    return replace(whole, verdict=verdict, base=base, patches=patches, breaks=[], measures=[])


EVIL = "<script>alert(1)</script>\"'&]]>\x1b[2J\x1b]0;gone\x07\u202egnp.exe\r::error::`|%0A"
"""What anybody could write into a subject, a warning or a console, to be obeyed by a reader."""


def hostile() -> CheckResult:
    """Return the gate with `EVIL` in every string that others have a say in."""
    data = msgspec.to_builtins(result())
    for key in ("title", "message_id", "repro"):
        data[key] = EVIL
    data["verdict"] = {**data["verdict"], "reason": EVIL, "look_at": [EVIL], "hint": EVIL}
    data["base"] = _spoilt(data["base"], {"config", "build", "boot", "word", "run"})
    kept = {"apply", "config", "build", "boot", "effect", "severity", "word", "run", "build_log"}
    data["patches"] = [_spoilt(patch, kept) for patch in data["patches"]]
    for patch in data["patches"]:
        patch["diff"] = f"diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1 @@ {EVIL}\n-a\n+{EVIL}\n"
    data["checks"] = [_spoilt(check, set()) for check in data["checks"]]
    data["measures"] = [_spoilt(measure, set()) for measure in data["measures"]]
    return msgspec.convert(data, CheckResult)


def _spoilt(value: Any, kept: set[str]) -> Any:
    if isinstance(value, str):
        return EVIL
    if isinstance(value, list):
        return [_spoilt(each, kept) for each in value]
    if isinstance(value, dict):
        return {key: each if key in kept else _spoilt(each, kept) for key, each in value.items()}
    return value


def is_harmless(text: str) -> bool:
    """Tell whether a terminal would obey nothing in the text, nor turn it around."""
    return printable.text(text) == text


def logs(whole: CheckResult) -> Logs:
    """Return the logs that a gate names: consoles of real form, one of them a real panic."""
    corpus = ROOT / "tests/corpus"
    panic = (corpus / "console/death-panic.log").read_bytes().partition(b"\n\n")[2]
    build = (corpus / "build/compile-error.log").read_bytes()
    files = {}
    for boots in (whole.base.boots, *(patch.boots for patch in whole.patches)):
        for boot in boots:
            option = f"{boot.cmdline} " if boot.cmdline else ""
            passed = _PASSED.format(option=option).replace("\n", "\r\n").encode()
            if boot.run:
                is_bad = boot.word is Word.FAILED
                files[f"{boot.run}/console.log"] = panic if is_bad else passed
    for patch in whole.patches:
        if patch.build_log:
            files[patch.build_log] = build
    return Logs(files=files)


def _patch(number: int, subject: str, author: str, diff: str, **facts: Any) -> PatchResult:
    return msgspec.structs.replace(
        PatchResult(
            number=number, subject=subject, author=author, commit=f"{number}" * 40,
            files=list(diffpaths.touched(diff.encode())), diff=diff, apply=Word.OK, config=Word.OK,
            build=Word.OK, boot=Word.OK, effect=Effect.CHANGES_KERNEL, reason="", evidence=[],
            warnings_new=[], warnings_fixed=[], behaviour=[], boots=[], uncompiled=[],
            changes=None, build_log=None, seconds=31.5,
        ),
        **facts,
    )  # fmt: skip


def _first() -> dict[str, Any]:
    return {
        "boots": [_boot(1, "", Word.OK, "rootfs"), _boot(1, OPTION, Word.SKIPPED, "nullfs")],
        "behaviour": [_row("", "ids", "root_is", "2", "1"), _row("", "ids", "shm_is", "1", "0")],
        "warnings_fixed": [
            _warning("compiler", "fs/namespace.c", 217, "-Wsign-compare",
                     "comparison of integers of different signedness", "mnt_alloc_id")
        ],
        "changes": _changes(),
    }  # fmt: skip


def _breaks() -> dict[str, Any]:
    where = "fs/init.c:59"
    return {
        "build": Word.FAILED,
        "boot": Word.SKIPPED,
        "effect": Effect.UNKNOWN,
        "reason": f"{where}: {UNDECLARED}",
        "evidence": [
            f"{where}:16: error: {UNDECLARED} [-Werror=implicit-function-declaration]",
            "   59 |         return path_pivot_root(&new, &old);",
        ],
        "build_log": "../../runs/2/build.log",
    }


def _panics() -> dict[str, Any]:
    flag = "-Wunused-variable"
    return {
        "boot": Word.FAILED,
        "effect": Effect.UNKNOWN,
        "reason": "with `nullfs_rootfs`: panic: dumptest",
        "boots": [_boot(3, "", Word.OK, "rootfs"), _boot(3, OPTION, Word.FAILED, "nullfs")],
        "behaviour": [
            _row(OPTION, "pivot", "pivot_root", "EINVAL", "0"),
            _row(OPTION, "pivot", "has_parent", "no", None),
            _row(OPTION, "root", "parent_type", None, "nullfs"),
        ],
        "warnings_new": [
            _warning("compiler", "fs/namespace.c", 6049, flag, "unused variable 'err'",
                     "init_mount_tree", source="\tstruct mount *base = NULL, *rootfs;"),
            _warning("sparse", "fs/nullfs.c", 79, "-Wdecl",
                     "symbol 'nullfs_fs_type' was not declared. Should it be static?", "",
                     source="struct file_system_type nullfs_fs_type = {"),
            _warning("checkpatch", "", None, "LONG_LINE", "line length of 104 exceeds 100 columns",
                     "", severity=Severity.WARNING),
            _warning("compiler", "fs/pnode.c", 52, flag, "unused variable 'ns'", "do_make_slave"),
        ],
    }  # fmt: skip


def _docs() -> dict[str, Any]:
    boots = [_boot(4, "", Word.REUSED, "rootfs")]
    return {"build": Word.REUSED, "boot": Word.REUSED, "effect": Effect.NO_EFFECT, "boots": boots}


def _not_compiled() -> dict[str, Any]:
    return {
        "build": Word.UNTESTED,
        "boot": Word.UNTESTED,
        "effect": Effect.NOT_COMPILED,
        "reason": f"untested by this config: {DRIVER} is not compiled (CONFIG_USB_LED would)",
        "uncompiled": [
            Uncompiled(file=DRIVER, symbols=["CONFIG_USB_LED", "CONFIG_USB", "CONFIG_USB_SUPPORT"])
        ],
    }


def _boot(number: int, cmdline: str, word: Word, variant: str) -> BootResult:
    is_bad, is_booted = word is Word.FAILED, word is not Word.SKIPPED
    return BootResult(
        cmdline=cmdline,
        word=word,
        outcome="panic" if is_bad else "pass" if is_booted else "",
        reason="panic: dumptest" if is_bad
        else "34 of 34 as expected" if is_booted
        else "nullfs is promised from a later patch on",
        variant=variant,
        seconds=0.62 if is_booted else 0.0,
        evidence=["console.log:7: Kernel panic - not syncing: dumptest"] if is_bad else [],
        run=f"../../runs/{number}{'-option' if cmdline else ''}" if is_booted else None,
    )  # fmt: skip


def _row(cmdline: str, flow: str, name: str, before: str | None, after: str | None) -> Behaviour:
    return Behaviour(cmdline=cmdline, flow=flow, name=f"{flow}.{name}", before=before, after=after)


def _warning(
    check: str, file: str, line: int | None, flag: str, message: str, function: str, *,
    severity: Severity = Severity.ERROR, source: str = "",
) -> WarningResult:  # fmt: skip
    where = f"{file}:{line}:15: " if file else ""
    text = [f"{where}warning: {message} [{flag}]"]
    if source:
        text += [f" {line} | {source}", "      |               ^~~~"]
    return WarningResult(
        check=check, file=file, line=line, flag=flag, message=message, function=function,
        severity=severity, text=text, source=source,
    )  # fmt: skip


def _changes() -> Changes:
    return Changes(
        sections=[SizeChange(name=".text", before=3960112, after=3960416),
                  SizeChange(name=".init.data", before=120832, after=120832 - 64)],
        functions=[SizeChange(name="mnt_alloc_id", before=112, after=96),
                   SizeChange(name="path_pivot_root", before=None, after=640)],
        symbols_added=["path_pivot_root"], symbols_removed=[],
        exports_added=[], exports_removed=["mnt_old_id"],
        structs=[StructChange(name="mount", before="struct mount {\n\tint id; /* 0 4 */\n};",
                              after="struct mount {\n\tlong id; /* 0 8 */\n};")],
    )  # fmt: skip


def _measure(
    name: str, unit: str, before: tuple[float, float, float], after: tuple[float, float, float],
) -> Measure:  # fmt: skip
    sides = [
        Interval(median=median, low=low, high=high, samples=6)
        for median, low, high in (before, after)
    ]
    return Measure(
        name=name, unit=unit, before=sides[0], after=sides[1],
        is_significant=sides[1].low > sides[0].high,
    )  # fmt: skip


def _check(name: str, *, why: str = "", seconds: float = 0.0, version: str = "") -> CheckRun:
    return CheckRun(name=name, ran=not why, why=why, version=version, seconds=seconds)
