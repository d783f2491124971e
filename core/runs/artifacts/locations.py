"""Where the artifacts of a run or a logged model are: mapped root, recorded place, or beside the store."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from core.runs.artifacts.uris import REMOTE_SCHEMES, SERVED, UriParts, parse_uri, redacted, untrusted_host
from core.runs.sources.uris import StoreKind
from core.runs.types import LoggedModel

_ID = re.compile(r"[A-Za-z0-9][\w.\-]{0,255}")
_RUN_FOLDER = re.compile(r"(m-)?[0-9a-f]{32}")
_BESIDE_DATABASE = ("", "mlruns", "mlartifacts", "artifacts")
_MAX_SEARCHED = 2_000


@dataclass(frozen=True, slots=True)
class StorePlace:
    """The tracking store: `path` is the folder of a file store, or the folder that holds the SQLite file."""

    kind: StoreKind
    path: Path | None = None


@dataclass(frozen=True, slots=True)
class ArtifactLocation:
    """Where artifacts are, or why that is not known.

    Attributes
    ----------
    path : Path or None
        A folder of this machine.
    uri : str or None
        A remote place, read through MLflow. Not part of the repr: it can hold a password.
    how : str
        One sentence: how the place was found.
    looked : tuple of str
        The places that were tried in vain, each with the reason.
    mapped : bool
        The place follows from an artifact root that a person mapped.
    none_logged : bool
        Nothing was found, and most likely nothing was logged: the experiment's folder is there, and MLflow
        makes a run's folder with its first artifact.
    """

    path: Path | None = None
    uri: str | None = field(default=None, repr=False)
    how: str = ""
    looked: tuple[str, ...] = ()
    mapped: bool = False
    none_logged: bool = False

    @property
    def found(self) -> bool:
        """Whether there is a place to read from."""
        return self.path is not None or self.uri is not None

    @property
    def problem(self) -> str:
        """What to tell a person when nothing was found; empty otherwise."""
        if self.found:
            return ""
        tried = "; ".join(self.looked) or "nowhere, as no place is recorded"
        if self.none_logged:
            return f"No artifacts are there, and most likely none were logged. Looked at: {tried}."
        return (
            f"The artifacts cannot be found. Looked at: {tried}. Where they were moved, name the old and the "
            "new root in artifact_roots; `greenroom doctor` proposes them."
        )


def locate_run(
    artifact_uri: str, run_id: str, experiment_id: str, place: StorePlace, artifact_roots: Mapping[str, str]
) -> ArtifactLocation:
    """Find the artifacts of a run.

    Parameters
    ----------
    artifact_uri : str
        As MLflow recorded it: a URI or a path, of this machine or of another one.
    run_id, experiment_id : str
    place : StorePlace
        The tracking store the run was read from.
    artifact_roots : mapping of str to str
        Old root to new root; the longest old root that matches wins.

    Returns
    -------
    ArtifactLocation
        A place that is missing or refused raises nothing: `looked` tells it. Outside a mapped root only a
        place that ends in `<run_id>/artifacts` is accepted, so that no record makes a folder such as /etc,
        or a whole bucket, browsable.
    """
    layout = _Layout((experiment_id, run_id, "artifacts"), 2)
    return _locate(artifact_uri, layout, place, artifact_roots)


def locate_model(
    model: LoggedModel, experiment_id: str, place: StorePlace, artifact_roots: Mapping[str, str]
) -> ArtifactLocation:
    """Find the files of a logged model; as `locate_run`, with the layout `models/<model_id>/artifacts`."""
    layout = _Layout((experiment_id, "models", model.model_id, "artifacts"), 3)
    return _locate(model.artifact_location, layout, place, artifact_roots)


@dataclass(frozen=True, slots=True)
class _Layout:
    """MLflow's layout from the experiment on; its last `fixed` parts end every place that is accepted."""

    tail: tuple[str, ...]
    fixed: int

    def ends(self, parts: tuple[str, ...]) -> bool:
        return parts[-self.fixed :] == self.tail[-self.fixed :]

    @property
    def words(self) -> str:
        return "/".join(self.tail[-self.fixed :])


def _locate(
    uri: str, layout: _Layout, place: StorePlace, artifact_roots: Mapping[str, str]
) -> ArtifactLocation:
    if not all(_ID.fullmatch(part) for part in layout.tail) or "\0" in uri:
        return ArtifactLocation(looked=("nowhere, as these are not an id and a place that MLflow writes",))
    looked: list[str] = []
    recorded = parse_uri(uri)
    place_here = _mapped(uri, artifact_roots, looked)
    if place_here is not None:
        return place_here
    if not layout.ends(recorded.parts):
        looked.append(f"{redacted(uri)} (recorded; refused, as it does not end in {layout.words})")
    elif recorded.scheme == SERVED and place.kind != StoreKind.HTTP:
        looked.append(f"{redacted(uri)} (recorded; needs the MLflow server that served it)")
    elif recorded.scheme in REMOTE_SCHEMES:
        return ArtifactLocation(uri=uri, how=f"Read through MLflow from {redacted(uri)}, as recorded.")
    elif recorded.scheme:
        looked.append(f"{redacted(uri)} (recorded; no kind of artifact store that Greenroom reads)")
    else:
        place_here = _recorded(uri, layout, place, looked)
    return place_here or _beside(recorded, layout, place, looked)


def _mapped(uri: str, artifact_roots: Mapping[str, str], looked: list[str]) -> ArtifactLocation | None:
    recorded = parse_uri(uri, decode=True)
    roots = [(parse_uri(old, decode=True), new) for old, new in artifact_roots.items()]
    matching = [(old, new) for old, new in roots if recorded.key[: len(old.key)] == old.key]
    if not matching:
        return None
    old, new = max(matching, key=lambda pair: len(pair[0].parts))
    rest = recorded.parts[len(old.parts) :]
    if ".." in rest:
        looked.append(f"{redacted(uri)} (mapped; refused, as it contains '..')")
        return None
    how = f"The artifact root {redacted(old.text)} is mapped to {redacted(new)}."
    target = parse_uri(new)
    if target.scheme:
        as_written = parse_uri(uri).parts[len(old.parts) :]
        return ArtifactLocation(uri="/".join((new.rstrip("/"), *as_written)), how=how, mapped=True)
    root = target.local()
    if root is None:
        looked.append(f"{new} (mapped; not an absolute path of this machine)")
        return None
    path = root.joinpath(*rest)
    if not _is_folder(path):
        looked.append(f"{path} (mapped; not there)")
        return None
    if not path.resolve().is_relative_to(root.resolve()):
        looked.append(f"{path} (mapped; refused, as a link leads out of {root})")
        return None
    return ArtifactLocation(path=path, how=how, mapped=True)


def _recorded(uri: str, layout: _Layout, place: StorePlace, looked: list[str]) -> ArtifactLocation | None:
    base = place.path if place.kind == StoreKind.SQLITE else None
    # MLflow encodes what it writes, people who set a location do not, so both readings are tried.
    for reading in dict.fromkeys((parse_uri(uri, decode=True), parse_uri(uri))):
        path = reading.local(base)
        if path is None:
            reason = "of another machine" if reading.head else "relative to a folder that is not known"
            looked.append(f"{reading.text} (recorded; {reason})")
        elif _accepted(path, layout, "recorded", looked):
            return ArtifactLocation(path=path, how=f"In {path}, as recorded.")
    return None


def _beside(recorded: UriParts, layout: _Layout, place: StorePlace, looked: list[str]) -> ArtifactLocation:
    candidates = dict.fromkeys(_places_beside(recorded, layout, place))
    present = [path for path in candidates if _accepted(path, layout, "beside the store", looked)]
    tried = tuple(dict.fromkeys(looked))
    if not present:
        return ArtifactLocation(looked=tried, none_logged=_experiment_is_here(recorded, layout, place))
    # A file store makes an empty artifacts folder for every run, also when a server keeps them elsewhere.
    path = next((path for path in present if _holds_something(path)), present[0])
    return ArtifactLocation(path=path, how=f"Found beside the tracking store, in {path}.", looked=tried)


def _places_beside(recorded: UriParts, layout: _Layout, place: StorePlace) -> Iterator[Path]:
    if place.path is None:
        return
    if place.kind == StoreKind.FILE:
        yield place.path.joinpath(*layout.tail)
        yield place.path.joinpath(".trash", *layout.tail)
        if recorded.scheme == SERVED:
            yield place.path.parent.joinpath("mlartifacts", *layout.tail)  # the default of `mlflow server`
    elif place.kind == StoreKind.SQLITE:
        named = recorded.parts[-len(layout.tail) :]  # an experiment's folder may differ from its id
        tails = [named] if layout.ends(named) and ".." not in named else []
        for folder in _BESIDE_DATABASE:
            for tail in (*tails, layout.tail):
                yield place.path.joinpath(folder, *tail)


def _accepted(path: Path, layout: _Layout, origin: str, looked: list[str]) -> bool:
    if not _is_folder(path):
        looked.append(f"{path} ({origin}; not there)")
    elif not layout.ends(path.resolve().parts):
        looked.append(f"{path} ({origin}; refused, as it leads to a folder not named {layout.words})")
    else:
        return True
    return False


def _experiment_is_here(recorded: UriParts, layout: _Layout, place: StorePlace) -> bool:
    # A file store makes the folder with the run: there a missing one tells nothing.
    path = recorded.local(place.path if place.kind == StoreKind.SQLITE else None)
    if place.kind == StoreKind.FILE or path is None or not layout.ends(path.parts) or len(path.parts) < 5:
        return False
    experiment = path.parents[layout.fixed - 1]
    return _is_folder(experiment) or (experiment.name == layout.tail[0] and _is_folder(experiment.parent))


def propose_artifact_roots(uris: Iterable[str], place: StorePlace) -> Mapping[str, str]:
    """Propose `artifact_roots` for runs whose artifacts cannot be found.

    Parameters
    ----------
    uris : iterable of str
        Recorded artifact URIs of these runs.
    place : StorePlace
        Searched are its folder, three levels below it, and the folders beside it.

    Returns
    -------
    mapping of str to str
        Old root to an existing root below which the same `<run_id>/artifacts` folders are; as few pairs as
        do, empty where nothing fits.
    """
    around = {} if place.path is None else {root: _names(root) for root in _folders_around(place.path)}
    options: dict[UriParts, dict[tuple[str, str], int]] = {}
    for recorded in dict.fromkeys(parse_uri(uri, decode=True) for uri in uris):
        parts = recorded.parts
        if ".." in parts or parts[-1:] != ("artifacts",):
            continue
        for count in range(2, len(parts) + 1):
            old = UriParts(recorded.head, parts[:-count], recorded.scheme).text
            for root, names in around.items():
                if old and parts[-count] in names and _is_folder(root.joinpath(*parts[-count:])):
                    options.setdefault(recorded, {})[(old, str(root))] = count
    proposal: dict[str, str] = {}
    while options:
        votes = Counter(pair for pairs in options.values() for pair in pairs)
        counts = {pair: count for pairs in options.values() for pair, count in pairs.items()}
        # A root above the experiments, three parts up, also serves experiments that are not among these.
        best = min(votes, key=lambda pair: (-votes[pair], counts[pair] < 3, counts[pair], pair))
        proposal.setdefault(*best)
        options = {uri: pairs for uri, pairs in options.items() if best not in pairs}
    return proposal


def _folders_around(folder: Path) -> Iterator[Path]:
    yield folder
    level, seen = [folder], 1
    for _ in range(3):
        level = [below for each in level for below in _subfolders(each)][: _MAX_SEARCHED - seen]
        seen += len(level)
        yield from level
    yield folder.parent
    yield from _subfolders(folder.parent)[:_MAX_SEARCHED]


def _subfolders(folder: Path) -> list[Path]:
    below = (folder / name for name in sorted(_names(folder)) if not _RUN_FOLDER.fullmatch(name))
    return [path for path in below if _is_folder(path) and not path.is_symlink()]


def _names(folder: Path) -> frozenset[str]:
    try:
        return frozenset(path.name for path in folder.iterdir())
    except OSError:  # a folder we may not look into holds nothing that could be used
        return frozenset()


def _holds_something(folder: Path) -> bool:
    return bool(_names(folder))


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):  # a name too long, or a folder that may not be looked into
        return False


def remote_refusal(location: ArtifactLocation, tracking_uri: str | None) -> str:
    """Say why a remote place must not be asked for anything; empty when it may be."""
    if location.uri is None or location.mapped or not untrusted_host(location.uri, tracking_uri):
        return ""
    return (
        f"{redacted(location.uri)} names a host other than the tracking server, and asking it would show it "
        "your credentials. If it is yours, map the root to itself in artifact_roots."
    )
