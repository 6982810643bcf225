"""Every file that pins something is one that the dependency bot keeps current, and the audit looks at."""

from __future__ import annotations

import json
import re
from pathlib import PurePath
from typing import Any, cast

import pytest
import yaml

from dragonfly.lines.known_lines import client_fault
from local.tools.catalog import TOOLS
from tests.program.recorded.recorded_program import ROOT
from tests.project.our_files import our_files
from tests.project.project_file import DECLARED

BOT = cast(dict[str, Any], json.loads((ROOT / ".github" / "renovate.json").read_text()))
AUDIT = cast(dict[Any, Any], yaml.safe_load((ROOT / ".github" / "workflows" / "audit.yml").read_text()))

BY_ITSELF = [r"(^|/)[\w-]*requirements([-._]\w+)?\.(txt|pip)$", r"(^|/)go\.mod$", r"^\.github/workflows/[^/]+\.ya?ml$"]
"""Files that Renovate's managers for pip, Go and workflows look at without being told (docs.renovatebot.com)."""


def is_kept_current(path: str) -> bool:
    told = [pattern.strip("/") for pattern in BOT["pip_requirements"]["managerFilePatterns"]]
    return any(re.search(pattern, path) for pattern in (*BY_ITSELF, *told))


def pinning() -> list[str]:
    """Files with a pin in each line, and lists of modules."""
    files = [path for path in our_files() if path.is_file()]
    lists = [path for path in files if path.suffix == ".txt" and re.search(r"^[\w.-]+==\S+", path.read_text(), re.M)]
    modules = [path for path in files if path.name == "go.mod"]
    return [str(path.relative_to(ROOT)) for path in (*lists, *modules)]


def test_each_list_of_pins_is_kept_current() -> None:
    assert {"constraints.txt", "local/uv.txt", "policy/requirements.txt", "local/go/kubernetes/go.mod"} < set(pinning())
    assert [path for path in pinning() if not is_kept_current(path)] == []


def test_the_packs_environment_is_where_the_engine_looks_for_it() -> None:
    pack = yaml.safe_load((ROOT / "policy" / "PulumiPolicy.yaml").read_text())
    assert f"policy/{pack['runtime']['options']['virtualenv']}/.packages" in (ROOT / "Makefile").read_text()


def test_no_folder_is_left_out() -> None:
    # `config:recommended` leaves out tests/ otherwise.
    assert BOT["ignorePaths"] == []


def test_an_update_of_the_client_is_one_that_the_config_takes() -> None:
    (rule,) = [each for each in BOT["packageRules"] if each.get("matchPackageNames") == ["dragonfly-client"]]
    allowed = re.compile(rule["allowedVersions"].strip("/"))
    for version in ("1.4.3", "1.4.99", "1.5.0", "2.0.0", "11.4.1"):
        assert bool(allowed.search(version)) == (client_fault(version) is None), version


def test_a_changed_pin_is_audited() -> None:
    patterns = AUDIT[True]["pull_request"]["paths"]
    as_glob = [pattern.removeprefix("**/").replace("/**", "/*/*") for pattern in patterns]
    assert [path for path in pinning() if not any(PurePath(path).match(glob) for glob in as_glob)] == []


def test_the_audit_is_told_of_what_it_does_not_know_by_name() -> None:
    target = re.search(r"^audit:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), re.M)
    assert target
    unknown = {path for path in pinning() if PurePath(path).name not in ("requirements.txt", "go.mod")}
    assert set(re.findall(r"--lockfile requirements\.txt:(\S+)", target[1])) == unknown


@pytest.mark.parametrize(
    ("file", "found"),
    [
        ("Pulumi.yaml", {"dragonfly-client": DECLARED["clientTag"]["default"]}),
        ("dragonfly/settings/model.py", {"dragonfly-client": DECLARED["clientTag"]["default"]}),
        (
            ".github/workflows/pulumi.yml",
            {"github.com/pulumi/pulumi/pkg/v3": TOOLS["pulumi"].version.removeprefix("v")},
        ),
    ],
)
def test_a_pin_in_another_file_is_found_where_it_is(file: str, found: dict[str, str]) -> None:
    pins = {
        manager["depNameTemplate"]: match["currentValue"]
        for manager in BOT["customManagers"]
        if any(re.search(each.removeprefix("/").removesuffix("/"), file) for each in manager["managerFilePatterns"])
        for pattern in manager["matchStrings"]
        # JavaScript's names of groups.
        for match in re.finditer(pattern.replace("(?<", "(?P<"), (ROOT / file).read_text())
    }
    assert pins == found


def test_the_pin_of_the_audit_itself_is_found() -> None:
    (manager,) = [each for each in BOT["customManagers"] if each["managerFilePatterns"] == ["/^Makefile$/"]]
    (pattern,) = manager["matchStrings"]
    ((module, version),) = re.findall(pattern.replace("(?<", "(?P<"), (ROOT / "Makefile").read_text())
    assert module == "github.com/google/osv-scanner/v2"
    assert re.fullmatch(r"v2\.\d+\.\d+", version)
