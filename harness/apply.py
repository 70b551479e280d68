"""Takes a base commit and a series, gives the commit after every patch; or says where it fails.

It works on a private index and the object store: no worktree of 90,000 files, nothing of the
user's. What `git am --3way` would do per patch is done here by the plumbing beneath it.
"""

import re
from pathlib import Path

from harness import faults, gitrepo, proc
from harness.errors import HostError, Outcome, SubjectError
from harness.job import AppliedPatch, Patch, PatchState, Series

_FAILED_AT = re.compile(r"^error: patch failed: (?P<file>.+):(?P<line>\d+)$", re.MULTILINE)
_FAILED_FILE = re.compile(r"^error: (?P<file>[^:\n]+): (?P<why>[^\n]+)$", re.MULTILINE)
# These of git's words are not about the patch.
_GIT_BROKE = re.compile(
    r"^fatal: .*|^error: (?:unable to |insufficient permission|inflate|object file |loose object "
    r"|packfile |bad |(?:git apply: )?(?:cannot|could not|failed to) read|failed to read).*"
    r"|.*(?:No space left|Disk quota exceeded|Input/output error|Cannot allocate memory).*",
    re.MULTILINE,
)
_MAX_EVIDENCE = 12


def apply(repo: Path, base_commit: str, series: Series, scratch: Path) -> list[AppliedPatch]:
    """Apply `series` on `base_commit`, and return what became of each patch, in order.

    The index lies in `scratch`; no ref is written. The commits depend on the base and the
    series only.

    Raises:
        SubjectError: a patch does not apply (apply-failed); the message names patch and file.
        HostError: git itself failed.
    """
    index = scratch / "index"
    gitrepo.check(repo, ["read-tree", base_commit], index=index)
    tip = base_commit
    tree = gitrepo.check(repo, ["rev-parse", "--verify", f"{base_commit}^{{tree}}"])
    applied = []
    for patch in series.patches:
        try:
            _apply_one(repo, patch, index)
        except proc.Breach as breach:
            raise SubjectError(
                Outcome.APPLY_FAILED,
                f"patch {patch.number} ({patch.subject}) does not apply: git {breach.message}",
            ) from None
        new_tree = gitrepo.check(repo, ["write-tree"], index=index)
        state = PatchState.ALREADY_APPLIED
        if new_tree != tree:
            state = PatchState.APPLIED
            tip, tree = _commit(repo, patch, new_tree, tip), new_tree
        applied.append(
            AppliedPatch(number=patch.number, subject=patch.subject, state=state, commit=tip)
        )
    return applied


def _apply_one(repo: Path, patch: Patch, index: Path) -> None:
    """Bring `patch` into `index`, which stays as it is if the change is there already."""
    # --unidiff-zero is not given: a hunk without context could land anywhere.
    apply_cached = ["apply", "--cached", "--whitespace=nowarn"]
    direct = gitrepo.run(repo, [*apply_cached, "-"], index=index, stdin=patch.diff)
    if direct.returncode == 0:
        return
    _raise_if_git_broke(repo, direct)
    reverse = gitrepo.run(
        repo, [*apply_cached, "--reverse", "--check", "-"], index=index, stdin=patch.diff
    )
    if reverse.returncode == 0:
        return
    # Reads the blobs that the patch's `index` lines name, where the repository has them.
    merged = gitrepo.run(repo, [*apply_cached, "--3way", "-"], index=index, stdin=patch.diff)
    if merged.returncode != 0:
        _raise_if_git_broke(repo, merged)
        raise _failure(patch, direct.error_text, merged.error_text)


def _raise_if_git_broke(repo: Path, done: proc.Completed) -> None:
    if faults.is_full(repo):
        raise HostError(f"`git apply` in {repo}: the disk is full", hint="`harness gc` makes room")
    broken = _GIT_BROKE.search(done.error_text)
    if broken:
        raise gitrepo.GitError(f"`git apply` in {repo}: {broken[0]}", repo)


def _failure(patch: Patch, words: str, merge_words: str) -> SubjectError:
    at = _FAILED_AT.search(words)
    file = _FAILED_FILE.search(words)
    where, why = "", ""
    if at:
        where, why = f"{at['file']}:{at['line']}", "the hunk there does not match"
    elif file:
        where, why = file["file"], file["why"]
    evidence = [*words.splitlines(), *_conflicts(merge_words)]
    return SubjectError(
        Outcome.APPLY_FAILED,
        f"patch {patch.number} ({patch.subject}) does not apply"
        + (f" at {where}: {why}" if where else ""),
        evidence=tuple(evidence[:_MAX_EVIDENCE]),
        hint=f"it comes from {patch.origin}; `--base` chooses another base",
    )


def _conflicts(merge_words: str) -> list[str]:
    """Return the lines in which git says where a three-way merge met a conflict."""
    return [line for line in merge_words.splitlines() if "conflict" in line or line[:2] == "U "]


def _commit(repo: Path, patch: Patch, tree: str, parent: str) -> str:
    name, _, mail = patch.author.rpartition("<")
    mail = mail.rstrip("> ")
    return gitrepo.check(
        repo,
        ["commit-tree", tree, "-p", parent, "-F", "-"],
        stdin=f"{patch.subject}\n\n{patch.message}".rstrip().encode() + b"\n",
        env={
            "GIT_AUTHOR_NAME": name.strip() or mail.partition("@")[0] or "unknown",
            "GIT_AUTHOR_EMAIL": mail,
            # A patch without a date gets the epoch: no clock may decide a commit's name.
            "GIT_AUTHOR_DATE": patch.date or "@0 +0000",
        },
    )
