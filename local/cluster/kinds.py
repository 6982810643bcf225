"""Kinds that something in the cluster brings with it, defined as its own release has them."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable
from pathlib import Path

import urllib3
import yaml
from kubernetes.client.api.apiextensions_v1_api import ApiextensionsV1Api
from kubernetes.client.api_client import ApiClient
from kubernetes.client.exceptions import ApiException

from local.api import kubeconfig
from local.api.errors import create_unless_exists, in_short

_AGAIN_SECONDS = 1.0

_log = logging.getLogger("kinds")


def define_kinds(client: ApiClient, files: Iterable[Path]) -> None:
    """Define kinds, unless the cluster has them.

    Args:
        client: of an administrator.
        files: a CustomResourceDefinition each, as YAML.

    Raises:
        ApiException: the API server refuses.
    """
    create = ApiextensionsV1Api(client).create_custom_resource_definition
    for file in files:
        create_unless_exists(create, yaml.safe_load(file.read_text()))


def define_later(administrator: Path, files: Iterable[Path], seconds: float) -> None:
    """Define kinds some seconds from now, in a thread of their own, as soon as the API server takes them.

    Args:
        administrator: kubeconfig.
        files: as for `define_kinds`.
        seconds: how long they are missing.
    """
    definitions = list(files)

    def define() -> None:
        while True:
            try:
                with kubeconfig.connect(administrator) as client:
                    define_kinds(client, definitions)
            except (ApiException, urllib3.exceptions.HTTPError) as error:
                _log.warning("%s; again in %.1f s", in_short(error), _AGAIN_SECONDS)
                time.sleep(_AGAIN_SECONDS)
            else:
                return

    timer = threading.Timer(seconds, define)
    # The process ends when its own work does.
    timer.daemon = True
    timer.start()
