"""What `docs/preview-in-ci.md` sets up: its commands run here with a `gcloud` that only writes down what it is told."""

from __future__ import annotations

import re
import subprocess
from functools import cache

from tests.program.recorded.gke_stack import configured_gke
from tests.program.recorded.recorded_program import ROOT

DOCUMENT = ROOT / "docs" / "preview-in-ci.md"
PREVIEW, DEPLOY = (f"serviceAccount:pulumi-{name}@example.iam.gserviceaccount.com" for name in ("preview", "deploy"))
REPOSITORY_ID, OWNER_ID = "260064828", "1342004"
MAKES = {
    "gcp:compute/": "compute.admin",
    "gcp:container/": "container.admin",
    "gcp:monitoring/alertPolicy:": "monitoring.alertPolicyEditor",
    "gcp:monitoring/dashboard:": "monitoring.dashboardEditor",
    "gcp:monitoring/notificationChannel:": "monitoring.notificationChannelEditor",
    "gcp:projects/iAMMember:": "resourcemanager.projectIamAdmin",
    "gcp:projects/service:": "serviceusage.serviceUsageAdmin",
    "gcp:serviceaccount/": "iam.serviceAccountAdmin",
}
"""The role that may make resources, by the beginning of their types."""

# One line for each call, its arguments separated by a character that no argument has.
_RECORDER = """
set -eu
gcloud() {
  printf '%s\\037' "$@" >&3
  echo >&3
  case "$*" in *projectNumber*) echo 42 ;; esac
}
gh() {
  case "$*" in *.owner.id*) echo OWNER_ID ;; *.id*) echo REPOSITORY_ID ;; esac
}
exec 3>&1 1>/dev/null
"""


@cache
def calls() -> tuple[tuple[str, ...], ...]:
    """Arguments of every call of gcloud in the document's first block of commands."""
    block = re.findall(r"```shell\n(.*?)```", DOCUMENT.read_text(), flags=re.DOTALL)[0]
    block = block.replace("<project>", "example").replace("<owner>/<repository>", "owner/repository")
    recorder = _RECORDER.replace("OWNER_ID", OWNER_ID).replace("REPOSITORY_ID", REPOSITORY_ID)
    # `$(gcloud ...)` has its own standard output: the record goes past it.
    done = subprocess.run(["bash", "-c", recorder + block], capture_output=True, text=True, check=True, timeout=20)
    return tuple(tuple(line.split("\037")[:-1]) for line in done.stdout.splitlines())


def option(call: tuple[str, ...], name: str) -> str:
    return call[call.index(name) + 1]


def roles(member: str, *kind: str) -> set[str]:
    """Roles that an account is given on one kind of object, such as `projects`."""
    return {
        option(call, "--role").removeprefix("roles/")
        for call in calls()
        if call[: len(kind)] == kind and "--member" in call and option(call, "--member") == member
    }


def test_a_preview_writes_neither_the_state_nor_the_project() -> None:
    assert roles(PREVIEW, "storage", "buckets") == {"storage.objectViewer"}
    assert roles(PREVIEW, "kms", "keys") == {"cloudkms.cryptoKeyDecrypter"}
    assert roles(PREVIEW, "projects") == {"viewer", "container.clusterViewer"}


def test_a_deployment_takes_the_lock_and_encrypts_what_is_new() -> None:
    assert roles(DEPLOY, "storage", "buckets") == {"storage.objectUser"}
    assert roles(DEPLOY, "kms", "keys") == {"cloudkms.cryptoKeyEncrypterDecrypter"}


def test_a_deployment_may_make_every_kind_of_resource_that_the_program_declares() -> None:
    declared = {one.type for one in configured_gke().resources if one.type.startswith("gcp:")}
    may = roles(DEPLOY, "projects")
    for type_ in sorted(declared):
        needed = {role for prefix, role in MAKES.items() if type_.startswith(prefix)}
        assert needed, type_
        assert needed <= may, type_


def test_no_account_owns_the_project() -> None:
    assert not {"owner", "editor"} & (roles(PREVIEW, "projects") | roles(DEPLOY, "projects"))


def test_the_repository_is_known_by_numbers_that_nobody_else_can_get() -> None:
    (provider,) = (call for call in calls() if "create-oidc" in call)
    # Google compares text: the claims are strings.
    assert option(provider, "--attribute-condition") == (
        f"assertion.repository_id == '{REPOSITORY_ID}' && assertion.repository_owner_id == '{OWNER_ID}'"
    )
    mapped = dict(pair.split("=") for pair in option(provider, "--attribute-mapping").split(","))
    assert mapped == {
        "google.subject": "assertion.sub",
        "attribute.repository_id": "assertion.repository_id",
        "attribute.ref": "assertion.ref",
    }
    users = {
        call[3]: option(call, "--member").partition("/workloadIdentityPools/github/")[2]
        for call in calls()
        if call[:3] == ("iam", "service-accounts", "add-iam-policy-binding")
    }
    assert users == {
        "pulumi-preview@example.iam.gserviceaccount.com": f"attribute.repository_id/{REPOSITORY_ID}",
        "pulumi-deploy@example.iam.gserviceaccount.com": "attribute.ref/refs/heads/main",
    }
