"""The kubeconfig a provider is given: its text or a file's path, and which cluster it makes active."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from local.plugins.object_fields import object_at, objects_at, text_at
from local.plugins.property_values import Properties


class KubeconfigError(ValueError):
    """A kubeconfig that cannot be used; the message says why, and never repeats its text."""


@dataclass(frozen=True)
class Selection:
    """What a provider overrides of its kubeconfig; empty texts override nothing."""

    context: str = ""
    cluster: str = ""
    namespace: str = ""


def parse(text_or_path: str) -> Properties:
    """Return the kubeconfig in the text, or in the file that the text names.

    Raises:
        KubeconfigError: it is neither YAML with the fields of a kubeconfig nor the path of such a file.
    """
    text = text_or_path
    if "\n" not in text_or_path and len(text_or_path) < os.pathconf("/", "PC_PATH_MAX"):
        path = Path(text_or_path).expanduser()
        if path.is_file():
            text = path.read_text(encoding="utf-8")
    parsed = _load_yaml(text)
    if not isinstance(parsed, dict) or "clusters" not in parsed:
        raise KubeconfigError("expected the text of a kubeconfig or the path of one, found neither")
    return cast(Properties, parsed)


def _load_yaml(text: str) -> object:
    # YAML takes milliseconds to import, and a run without a kubeconfig change never needs it.
    import yaml  # pyright: ignore[reportMissingModuleSource]

    library = cast(Any, yaml)
    loader: Any = getattr(library, "CSafeLoader", library.SafeLoader)
    try:
        return cast(object, library.load(text, Loader=loader))
    except library.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" at line {cast(int, mark.line) + 1}" if mark is not None else ""
        raise KubeconfigError(f"the kubeconfig is not valid YAML{line}") from None


def active_cluster(kubeconfig: Properties, selection: Selection) -> Properties | None:
    """Return the settings of the cluster that the kubeconfig makes active, or None where there is no such cluster."""
    name = selection.cluster or text_at(_context(kubeconfig, selection), "cluster")
    for entry in objects_at(kubeconfig, "clusters"):
        if entry.get("name") == name:
            return object_at(entry, "cluster")
    return None


def default_namespace(kubeconfig: Properties, selection: Selection) -> str:
    """Return the namespace for objects that name none: the provider's, the context's, or `default`."""
    return selection.namespace or text_at(_context(kubeconfig, selection), "namespace") or "default"


def with_selection(kubeconfig: Properties, selection: Selection) -> Properties:
    """Return the kubeconfig with the provider's context and cluster made its own.

    Raises:
        KubeconfigError: it has no context of that name, or none that is current.
    """
    name = selection.context or text_at(kubeconfig, "current-context")
    contexts = objects_at(kubeconfig, "contexts")
    if not any(entry.get("name") == name for entry in contexts):
        known = ", ".join(sorted(text_at(entry, "name") for entry in contexts)) or "none"
        raise KubeconfigError(f"the kubeconfig has no context {name!r}; it has: {known}")
    result: Properties = {**kubeconfig, "current-context": name}
    if selection.cluster:
        result["contexts"] = [
            {**entry, "context": {**object_at(entry, "context"), "cluster": selection.cluster}}
            if entry.get("name") == name
            else entry
            for entry in contexts
        ]
    return result


def _context(kubeconfig: Properties, selection: Selection) -> Properties:
    name = selection.context or text_at(kubeconfig, "current-context")
    for entry in objects_at(kubeconfig, "contexts"):
        if entry.get("name") == name:
            return object_at(entry, "context")
    return {}


def ambient() -> Properties:
    """Return the kubeconfig that kubectl would use: the files of `KUBECONFIG` merged, or `~/.kube/config`.

    Raises:
        KubeconfigError: there is none, or one of them cannot be used.
    """
    names = [name for name in os.environ.get("KUBECONFIG", "").split(os.pathsep) if name] or ["~/.kube/config"]
    found = [path for name in names if (path := Path(name).expanduser()).is_file()]
    if not found:
        raise KubeconfigError(f"no kubeconfig: {' and '.join(names)} not found; set KUBECONFIG or the provider's")
    merged: Properties = {}
    for path in found:
        # The first file to name an entry wins, as for kubectl; relative paths are the file's own folder's.
        for key, value in _with_absolute_paths(parse(str(path)), path.parent).items():
            before = merged.get(key)
            if isinstance(before, list) and isinstance(value, list):
                names_before = {text_at(entry, "name") for entry in before}
                merged[key] = [*before, *(entry for entry in value if text_at(entry, "name") not in names_before)]
            elif not before:
                merged[key] = value
    return merged


def _with_absolute_paths(kubeconfig: Properties, folder: Path) -> Properties:
    for group, inner in (("clusters", "cluster"), ("users", "user")):
        for entry in objects_at(kubeconfig, group):
            settings = object_at(entry, inner)
            for field in ("certificate-authority", "client-certificate", "client-key", "tokenFile"):
                path = text_at(settings, field)
                if path:
                    settings[field] = str(folder / path)
    return kubeconfig
