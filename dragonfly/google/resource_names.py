"""Names of resources in Google Cloud: derived from the stack's own names, and shortened where Google allows less.

Names are explicit, so that what a killed update left half made can be found again, and predictable for scripts.
"""

from __future__ import annotations

import hashlib

# Compute Engine: 1 to 63 characters (RFC 1035).
RESOURCE_NAME_LIMIT = 63
# IAM: an account's id has 6 to 30 characters.
SERVICE_ACCOUNT_ID_LIMIT = 30

_HASH_DIGITS = 6


def google_name(*parts: str, limit: int = RESOURCE_NAME_LIMIT) -> str:
    """Join parts with hyphens.

    Args:
        parts: lower-case names, the first starting with a letter.
        limit: greatest number of characters; a longer name loses its middle to a hash of the whole, so that two names
            which differ stay different.
    """
    whole = "-".join(parts)
    if len(whole) <= limit:
        return whole
    digest = hashlib.sha256(whole.encode()).hexdigest()[:_HASH_DIGITS]
    last = parts[-1]
    head = whole[: limit - len(last) - len(digest) - 2].rstrip("-")
    return f"{head}-{digest}-{last}"
