"""No two files tell the same fact: a version, a port, a name or an image reference stands once.

`Pulumi.yaml` repeats the defaults for the CLI; `test_pulumi_yaml.py` compares the two. Tests spell facts out again on
purpose, and are not looked at here.
"""

from __future__ import annotations

import ast
import itertools
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, cast

import pytest
import yaml

from dragonfly.lines.known_lines import images_of, line_of
from dragonfly.parts import ports
from dragonfly.parts.images import Image
from dragonfly.parts.names import Names
from dragonfly.settings.fault import PROJECT
from dragonfly.settings.model import Settings
from dragonfly.settings.stack_config import settings_of
from tests.program.recorded.known_stacks import DEFAULT_CONFIG
from tests.program.recorded.recorded_program import ROOT
from tests.project.our_files import our_files
from tests.project.project_file import DECLARED

SETTINGS, NAMES, IMAGES, PORT_NUMBERS, MACHINE_TYPES = (
    ROOT / "dragonfly" / path
    for path in ("settings/model.py", "parts/names.py", "parts/images.py", "parts/ports.py", "google/machine_types.py")
)
LINES = ROOT / "dragonfly" / "lines"
PROGRAM = (*sorted((ROOT / "dragonfly").glob("**/*.py")), ROOT / "__main__.py")
DEFAULTS = settings_of(DEFAULT_CONFIG, frozenset(), stack="test", environment={})
PORTS = {name: value for name, value in vars(ports).items() if isinstance(value, int)}
# Defaults in Settings that happen to be a number of ports.py: another program's port, on the nodes' own network.
PEER_PORT_FIELDS = [name for name in Settings.model_fields if name.endswith("_port")]


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def _docstrings(tree: ast.Module) -> set[int]:
    """Ids of the strings that stand alone: documentation may give examples."""
    return {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}


@cache
def _strings(path: Path) -> tuple[str, ...]:
    """Text of every literal, the fixed parts of f-strings included."""
    tree = _tree(path)
    documentation = _docstrings(tree)
    return tuple(
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documentation
    )


def _files_with_text(text: str) -> set[Path]:
    """Files where the text stands in a literal, not as a part of something longer."""
    pattern = re.compile(rf"(?<![\w.-]){re.escape(text)}(?![\w-]|\.\w)")
    return {path for path in PROGRAM if any(pattern.search(literal) for literal in _strings(path))}


@cache
def _numbers(path: Path) -> tuple[int, ...]:
    tree = _tree(path)
    own = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.target.id in PEER_PORT_FIELDS
    }
    return tuple(
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and type(node.value) is int and id(node) not in own
    )


@pytest.mark.parametrize("name", PORTS)
def test_port_stands_in_ports_only(name: str) -> None:
    files = {path for path in PROGRAM if PORTS[name] in _numbers(path)}
    assert files == {PORT_NUMBERS}
    assert _files_with_text(str(PORTS[name])) == set()
    assert not any(re.search(rf":{PORTS[name]}\b", literal) for path in PROGRAM for literal in _strings(path))


@pytest.mark.parametrize("field", PEER_PORT_FIELDS)
def test_default_port_of_the_peers_stands_in_settings_only(field: str) -> None:
    default = getattr(DEFAULTS, field)
    files = {path for path in PROGRAM if default in _numbers(path)}
    assert files <= ({PORT_NUMBERS} if default in PORTS.values() else set())
    assert len(PEER_PORT_FIELDS) == 7


@pytest.mark.parametrize(("tag", "line"), {"2.1.34": "line_2_1.py", "2.5.1": "line_2_5.py"}.items())
@pytest.mark.parametrize("image", Image)
def test_image_repository_and_tag_stand_in_one_place(image: Image, tag: str, line: str) -> None:
    repository, _, found = images_of(None, tag, "1.4.3", {}).reference(image).rpartition(":")
    *_, name = repository.split("/")
    place = LINES / line if image in line_of(tag).resources else IMAGES
    assert any(name in literal for literal in _strings(place))
    # It is the name of the program and of its container, too.
    if re.search(r"[-\d]", name) and image is not Image.METRICS_EXPORTER:
        assert _files_with_text(name) <= {place}
    if place == IMAGES:
        assert _files_with_text(found) == {IMAGES}


# The others, such as `manager` and `seedPeer`, are keys of Dragonfly's own config files too.
@pytest.mark.parametrize("image", [image for image in Image if image.value.endswith("Exporter")])
def test_key_of_an_image_stands_in_images_only(image: Image) -> None:
    assert _files_with_text(image.value) == {IMAGES}


@pytest.mark.parametrize(
    "field",
    # `default` and `standard` are words with other uses.
    [
        name
        for name in Settings.model_fields
        if re.search(r"\W|\d", str(getattr(DEFAULTS, name))) and isinstance(getattr(DEFAULTS, name), str)
    ],
)
def test_default_stands_in_settings_only(field: str) -> None:
    value = getattr(DEFAULTS, field)
    holders = {path for path in PROGRAM if value in set(_strings(path))}
    # The table of machine types has the default one too.
    assert holders - {MACHINE_TYPES} == {SETTINGS}
    if "." in value:
        # Distinctive enough that it must not stand inside a longer text either.
        assert _files_with_text(value) == {SETTINGS}


@pytest.mark.parametrize("stack_file", sorted(ROOT.glob("Pulumi.*.yaml")), ids=lambda path: path.name)
def test_stack_file_says_only_what_differs_from_the_defaults(stack_file: Path) -> None:
    config = cast(dict[str, Any], yaml.safe_load(stack_file.read_text())).get("config", {})
    for full_key, value in config.items():
        namespace, _, key = full_key.partition(":")
        assert namespace != PROJECT or value != DECLARED[key]["default"], full_key


def _suffixes() -> set[str]:
    names = Names("")
    return {getattr(names, name) for name, member in vars(Names).items() if isinstance(member, property)}


def _derivations(path: Path) -> Iterator[str]:
    """What is appended to something else: by an f-string, by `+` or by `concat`."""
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.JoinedStr):
            parts = node.values
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            parts = [node.left, node.right]
        elif isinstance(node, ast.Call):
            parts = node.args
        else:
            continue
        for before, after in itertools.pairwise(parts):
            literal = isinstance(after, ast.Constant) and isinstance(after.value, str)
            if literal and not isinstance(before, ast.Constant):
                yield str(cast(ast.Constant, after).value)


def test_object_names_are_derived_in_names_only() -> None:
    suffixes = _suffixes()
    assert {path for path in PROGRAM if suffixes & set(_derivations(path))} == {NAMES}


def test_nothing_is_appended_to_the_instances_name_outside_names() -> None:
    for path in PROGRAM:
        if path == NAMES:
            continue
        for node in ast.walk(_tree(path)):
            parts: list[ast.expr] = []
            if isinstance(node, ast.JoinedStr):
                parts = [value.value for value in node.values if isinstance(value, ast.FormattedValue)]
            elif isinstance(node, ast.BinOp):
                parts = [node.left, node.right]
            for part in parts:
                instance = isinstance(part, ast.Attribute) and part.attr in ("app", "app_instance_name")
                assert not instance, f"{path.name}:{part.lineno}"


def test_suffix_of_an_object_stands_once() -> None:
    names_file = list(_derivations(NAMES))
    for suffix in _suffixes() - {Names("").mysql_claim, Names("").redis_claim, Names("").seed_peer_claim}:
        assert names_file.count(suffix) == 1, suffix


def _imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
            assert node.level == 0, "a relative import hides where a name comes from"
    return {name.partition(".")[0] for name in found}


@pytest.mark.parametrize("path", PROGRAM, ids=lambda path: path.name)
def test_product_knows_nothing_of_the_local_cluster_or_the_tests(path: Path) -> None:
    assert not _imports(path) & {"local", "tests", "pytest"}


def test_the_program_does_not_load_the_client_of_kubernetes_before_it_needs_it() -> None:
    imports = [
        ast.unparse(node)
        for node in ast.walk(_tree(ROOT / "__main__.py"))
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    # `pulumi up` and every preview would take a second longer.
    code = "\n".join([*imports, "import sys", "sys.exit('kubernetes' in sys.modules)"])
    assert len(imports) > 1
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_program_asks_for_nothing_that_its_requirements_do_not_name() -> None:
    requirements = (ROOT / "requirements.txt").read_text().lower().replace("-", "_")
    installed = {"yaml": "pyyaml", "pydantic_core": "pydantic", "websocket": "websocket_client"}
    for path in PROGRAM:
        for module in _imports(path) - sys.stdlib_module_names - {"dragonfly"}:
            assert installed.get(module, module) in requirements, f"{path.name} imports {module}"


def test_imports_form_no_circle() -> None:
    modules = {path.stem: path for path in PROGRAM}
    uses = {
        name: {
            imported.partition(".")[2] or alias
            for node in ast.walk(_tree(path))
            if isinstance(node, ast.ImportFrom) and (imported := node.module or "").partition(".")[0] == "dragonfly"
            for alias in [one.name for one in node.names]
        }
        & set(modules)
        for name, path in modules.items()
    }
    done: set[str] = set()
    while len(done) < len(uses):
        free = {name for name, needed in uses.items() if name not in done and needed <= done}
        assert free, f"a circle among {sorted(set(uses) - done)}"
        done |= free


def test_a_files_name_says_what_is_in_it() -> None:
    vague = {"util", "utils", "helper", "helpers", "common", "base", "misc", "shared", "lib", "stuff"}
    for path in our_files():
        assert not vague & set(re.split(r"[-_.]", path.name.lower())), path


@pytest.mark.parametrize("path", PROGRAM, ids=lambda path: path.name)
def test_file_can_be_read_in_one_sitting(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 500
