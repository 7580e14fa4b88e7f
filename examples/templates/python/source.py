"""What doi.org says of a DOI: where it leads to, by the handle system's API
(https://www.doi.org/the-identifier/resources/handbook/3-resolution). Put your source in its place.

Imports nothing of the component, so that it is tested on any Python: `python3 -m unittest`.
"""

import json
from urllib.parse import quote

BASE = "https://doi.org"


class NotUnderstood(Exception):
    """The answer is none that this source gives. `passing` says whether it may be another one next time."""

    def __init__(self, message: str, passing: bool):
        super().__init__(message)
        self.passing = passing


def request(doi: str, base: str | None) -> str:
    """The URL that asks for a DOI."""
    return f"{base or BASE}/api/handles/{quote(doi, safe='/')}?type=URL"


def page(body: bytes) -> str | None:
    """The landing page that an answer names; None where it names none."""
    try:
        answer = json.loads(body)
    except ValueError as error:
        raise NotUnderstood(f"doi.org answered no JSON: {error}", passing=True) from None
    values = answer.get("values") if isinstance(answer, dict) else None
    if not isinstance(values, list):
        raise NotUnderstood("doi.org answered something that lists no values", passing=False)
    for value in values:
        if isinstance(value, dict) and value.get("type") == "URL" and isinstance(value.get("data"), dict):
            url = value["data"].get("value")
            return url if isinstance(url, str) else None
    return None
