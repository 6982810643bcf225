"""A component's config file: rendered by the program, kept in a Secret, mounted into the pod."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping

import pulumi
import yaml

Document = Mapping[str, object]
"""A config file before it is rendered. Whether its keys are known, the programs that read it say, in tests."""

# Rolls the pods when a document changes: a mounted Secret is updated in place, and no program reads its file twice.
HASH_ANNOTATION = "dragonfly.pulumi.com/config-hash"


def render_yaml(document: Document) -> pulumi.Output[str]:
    """Return a config document as YAML text, which awaits the outputs in it and is secret where one of them is."""

    def dump(plain: Document) -> str:
        return yaml.safe_dump(dict(plain), sort_keys=False)

    return pulumi.Output.from_input(document).apply(dump)


def document_hash(key: pulumi.Input[str], *texts: pulumi.Input[str]) -> pulumi.Output[str]:
    """Return a keyed hash over documents, for HASH_ANNOTATION.

    The key is random and secret: a plain hash of a document around a short, configured password would let whoever reads
    the annotation find the password by trying.

    Args:
        key: the installation's random key for this purpose.
        texts: the documents.

    Returns:
        HMAC-SHA-256 as 64 hexadecimal digits, not secret.
    """

    def digest(resolved: list[str]) -> str:
        secret_key, *documents = resolved
        return hmac.new(secret_key.encode(), "\0".join(documents).encode(), hashlib.sha256).hexdigest()

    return pulumi.Output.unsecret(pulumi.Output.all(key, *texts).apply(digest))
