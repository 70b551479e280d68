"""Takes templates and a tree, gives a .config in which every requested symbol survived.

Profile, arch, flavors, the scenario's needs and the user's own are laid over one another in that
order; the later assignment wins. What Kconfig itself then drops is an error, explained.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import msgspec

from harness.arch import Arch
from harness.errors import Outcome, SubjectError, UsageError
from harness.job import Kconfig, Tree
from harness.kconfig_make import Make
from harness.lane import Worktree
from harness.limits import DEFAULT, Limits
from harness.store import Entry, Store, digest_of, digest_of_file
from harness.toolchain import Toolchain, optional_identity

SCHEMA = "1"

_ASSIGNMENT = re.compile(r"CONFIG_(?P<name>\w+)=(?P<value>.*)")
_NOT_SET = re.compile(r"# CONFIG_(?P<name>\w+) is not set")
_SOFT = re.compile(r"\s+# soft$")


class Assignment(msgspec.Struct, frozen=True, kw_only=True):
    """One requested symbol. `value` is as in a .config (`y`, `"text"`, `64`), `n` for not set.

    A soft one may be lost.
    """

    name: str
    value: str
    origin: str
    is_soft: bool = False

    @property
    def line(self) -> str:
        """The assignment as a .config writes it."""
        return dot_config_line(self.name, self.value)


class Lost(msgspec.Struct, frozen=True, kw_only=True):
    """A requested symbol that Kconfig set otherwise, and why."""

    wanted: Assignment
    got: str
    reason: str

    def __str__(self) -> str:
        return f"{self.wanted.line} ({self.wanted.origin}): {self.reason}"


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What a job asks of Kconfig. `search` are the folders of templates, the user's first."""

    profile: str
    arch: Arch
    flavors: tuple[str, ...] = ()
    scenario: tuple[str, ...] = ()
    """Assignments that the scenario needs."""
    extra: tuple[str, ...] = ()
    """The user's own: files, or `CONFIG_X=y`."""
    search: tuple[Path, ...] = ()


def dot_config_line(name: str, value: str) -> str:
    """Return the line of a .config for a symbol; `n` gives the comment form."""
    return f"# CONFIG_{name} is not set" if value == "n" else f"CONFIG_{name}={value}"


def parse(text: str, origin: str) -> list[Assignment]:
    """Return the assignments of a fragment or a .config, in order.

    Raises:
        UsageError: a line is neither an assignment, a comment nor empty.
    """
    found: list[Assignment] = []
    # No splitlines(): a string's value may hold what that takes for an end.
    for number, raw in enumerate(text.split("\n"), 1):
        line = _SOFT.sub("", raw.strip())
        is_soft = line != raw.strip()
        match = _ASSIGNMENT.fullmatch(line) or _NOT_SET.fullmatch(line)
        if match:
            value = match.groupdict().get("value", "n")
            found.append(
                Assignment(name=match["name"], value=value, origin=origin, is_soft=is_soft)
            )
        elif line and not line.startswith("#"):
            raise UsageError(
                f"{origin}:{number}: {line!r} is no kconfig assignment",
                hint="write CONFIG_X=y, CONFIG_X=n or `# CONFIG_X is not set`",
            )
    return found


def merge(layers: Iterable[Sequence[Assignment]]) -> dict[str, Assignment]:
    """Lay assignments over one another: by symbol, the last one wins."""
    return {wanted.name: wanted for layer in layers for wanted in layer}


def request_digest(request: Request) -> str:
    """Return a digest over all that decides the rendered text, without rendering it."""
    parts = [request.profile, request.arch.name, *request.flavors, *request.scenario]
    for folder in request.search:
        for path in sorted(folder.rglob("*.config*")):
            parts += [str(path.relative_to(folder)), digest_of_file(path)]
    for extra in request.extra:
        parts.append(extra if _is_assignment(extra) else digest_of_file(_extra_file(extra)))
    return digest_of("\n".join(parts).encode())


def render(request: Request) -> dict[str, Assignment]:
    """Render the templates and merge all layers, by symbol.

    Raises:
        UsageError: a profile, flavor or file that does not exist or does not parse.
    """
    layers = [
        _render_layer(request, f"{request.profile}.config.j2", "profile", request.profile),
        *(
            _render_layer(request, f"flavor/{flavor}.config", "flavor", flavor)
            for flavor in request.flavors
        ),
        parse("\n".join(request.scenario), "scenario"),
    ]
    for extra in request.extra:
        if _is_assignment(extra):
            layers.append(parse(extra, "--kconfig"))
        else:
            path = _extra_file(extra)
            layers.append(parse(path.read_text(encoding="utf-8"), extra))
    return merge(layers)


def resolve(
    request: Request,
    tree: Tree,
    *,
    toolchain: Toolchain,
    checkout: Callable[[], AbstractContextManager[Worktree]],
    store: Store,
    limits: Limits = DEFAULT,
) -> tuple[Kconfig, Entry]:
    """Return the .config for `request` in `tree`.

    `checkout` lends a worktree of the tree; it is called only if the answer is not in the store.

    Raises:
        UsageError: as `render`.
        SubjectError: config-lost, with one explained line per lost symbol.
        HostError: this tree refuses the compiler, or a tool is missing.
    """

    def resolve_in(folder: Path) -> None:
        wanted = render(request)
        with checkout() as worktree:
            source = worktree.path
            make = Make(arch=request.arch, toolchain=toolchain, worktree=worktree, limits=limits)
            make.config((want.line for want in wanted.values()), folder)
            got = merge([parse((folder / ".config").read_text(), ".config")])
            lost = find_lost(wanted, got)
            if lost:
                _raise_lost(lost, tree, got, source, request.arch)

    inputs = {
        "schema": SCHEMA,
        "Kconfig": tree.config_id,
        "request": request_digest(request),
        "toolchain": toolchain.identity,
        "programs": optional_identity(store),
    }
    entry = store.get_or_make("kconfig", inputs, resolve_in)
    path = entry.path / ".config"
    return Kconfig(path=path, digest=digest_of_file(path)), entry


def find_lost(wanted: dict[str, Assignment], got: dict[str, Assignment]) -> list[Assignment]:
    """Return the requested symbols that the .config `got` does not have as asked, soft ones out.

    A symbol that is absent from a .config counts as `n`.
    """
    return [
        want
        for want in wanted.values()
        if not want.is_soft and _value(got, want.name) != want.value
    ]


def available(search: Sequence[Path], kind: str) -> list[str]:
    """Return the names of the profiles or flavors that `search` offers."""
    pattern, suffix = {
        "profile": ("*.config.j2", ".config.j2"),
        "flavor": ("flavor/*.config", ".config"),
    }[kind]
    return sorted({p.name.removesuffix(suffix) for folder in search for p in folder.glob(pattern)})


def _value(config: dict[str, Assignment], name: str) -> str:
    return config[name].value if name in config else "n"


def _render_layer(request: Request, template: str, kind: str, name: str) -> list[Assignment]:
    import jinja2  # noqa: PLC0415 - 70 ms, and a warm run renders nothing

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([str(folder) for folder in request.search]),
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # noqa: S701 - kconfig, not HTML
        keep_trailing_newline=True,
    )
    try:
        text = environment.get_template(template).render(
            arch=request.arch.name, flavors=list(request.flavors)
        )
    except jinja2.TemplateNotFound as error:
        if error.name != template:
            raise UsageError(f"{template} includes {error.name}, which is not there") from error
        known = ", ".join(available(request.search, kind)) or "none"
        raise UsageError(f"no {kind} named {name!r}; there are: {known}") from error
    except jinja2.TemplateError as error:
        raise UsageError(f"{template}: {error}") from error
    return parse(text, f"{kind} {name}")


def _is_assignment(text: str) -> bool:
    return bool(_ASSIGNMENT.fullmatch(_SOFT.sub("", text)) or _NOT_SET.fullmatch(text))


def _extra_file(text: str) -> Path:
    path = Path(text)
    if not path.is_file():
        raise UsageError(
            f"--kconfig {text}: neither an assignment like CONFIG_X=y nor a file that exists"
        )
    return path


def _raise_lost(
    lost: list[Assignment], tree: Tree, got: dict[str, Assignment], source: Path, arch: Arch
) -> None:
    # Only what is lost is explained, and a warm run loses nothing.
    from harness import kconfig_language, kconfig_why  # noqa: PLC0415

    language = kconfig_language.read(source, arch.srcarch)
    values = {name: setting.value for name, setting in got.items()}
    explained = [
        Lost(
            wanted=want,
            got=_value(got, want.name),
            reason=kconfig_why.explain(want.name, want.value, values, language),
        )
        for want in lost
    ]
    names = ", ".join(f"CONFIG_{want.name}" for want in lost[:3])
    more = f" and {len(lost) - 3} more" if len(lost) > 3 else ""  # noqa: PLR2004 - as above
    raise SubjectError(
        Outcome.CONFIG_LOST,
        f"{names}{more} did not survive Kconfig on {tree.base}",
        evidence=tuple(str(each) for each in explained),
        hint="drop the symbol, ask for what it depends on, or mark it `# soft`",
    )
