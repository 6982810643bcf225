"""The sign-in that the README and its page tell reaches both the provider and the cluster of a GKE stack."""

from __future__ import annotations

import re

import pytest
import yaml

from tests.program.recorded.gke_stack import run_gke
from tests.project.pages import DOCS, section

PLACES = {
    "the README": section("On Google Kubernetes Engine"),
    "the table of the guide's steps": section("From the guide's steps"),
    "the page": (DOCS / "google-cloud.md").read_text(),
}


@pytest.mark.parametrize("place", PLACES)
def test_every_place_that_signs_in_signs_in_both(place: str) -> None:
    (user,) = yaml.safe_load(run_gke().exports["kubeconfig"].value)["users"]
    # The plug-in then takes gcloud's own login, and the provider takes the application's default credentials.
    assert "--use_application_default_credentials" not in user["user"]["exec"].get("args", [])
    commands = re.findall(r"gcloud auth [a-z-]+(?: login)?(?: --[a-z-]+)*", PLACES[place])
    assert commands == ["gcloud auth login --update-adc"]
    assert user["user"]["exec"]["installHint"] in PLACES[place]


def test_the_state_has_a_place_before_there_is_a_stack() -> None:
    commands = PLACES["the README"]
    assert 0 < commands.index("pulumi login") < commands.index("pulumi stack init")
