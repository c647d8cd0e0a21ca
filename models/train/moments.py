"""Moments as requests write them."""

from __future__ import annotations

from datetime import UTC, datetime


def rfc3339(at: int) -> str:
    """Return Unix milliseconds in RFC 3339."""
    text = datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")
