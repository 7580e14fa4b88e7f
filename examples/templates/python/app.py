"""Resolver `{{name}}`: the component's border. It joins the host's imports to source.py, and does no more, so that
everything else is tested without a component. wit/resolver.wit says what every type means.
"""

import source
from componentize_py_types import Err
from wit_world.exports.resolver import Info
from wit_world.imports import config, http
from wit_world.imports.types import Candidate, CandidateKind, Disposition, Failure, Query, Resolution


def failure(disposition: Disposition, code: str, message: str, after=None, status=None) -> Err:
    return Err(Failure(disposition, code, message, after, status))


class Resolver:
    """What the world exports."""

    def describe(self) -> Info:
        return Info(name="{{name}}", version="0.1.0", summary="Where a DOI leads to", takes=["doi"],
                    hosts=["doi.org"], settings=[])

    def resolve(self, query: Query) -> Resolution:
        dois = [identifier.value for identifier in query.identifiers if identifier.scheme == "doi"]
        url = ask(source.request(dois[0], config.get("base-url"))) if dois else None
        # The source does not know it: an answer, not a failure.
        if url is None:
            return Resolution([], [], [])
        candidate = Candidate(url, CandidateKind.LANDING_PAGE, None, None, None, None, None, [])
        return Resolution([candidate], [], [])


def ask(url: str) -> str | None:
    """The landing page that the source names for this request."""
    try:
        response = http.send(http.Request("GET", url, [], None, None, None))
    except Err as error:
        raise of_error(error.value) from None
    if response.status in (404, 410):
        return None
    if not 200 <= response.status <= 299:
        raise of_status(response.status)
    try:
        return source.page(response.body)
    except source.NotUnderstood as error:
        if error.passing:
            raise failure(Disposition.RETRY, "bad-json", str(error)) from None
        raise failure(Disposition.GIVE_UP, "unknown-shape", str(error)) from None


def of_error(error) -> Err:
    """No answer came. What may pass is tried again."""
    match error:
        case http.Error_Denied(rule):
            return failure(Disposition.GIVE_UP, "denied", f"doi.org may not be asked: {rule}")
        case http.Error_TooLarge(limit):
            return failure(Disposition.GIVE_UP, "too-large", f"doi.org answered more than {limit} bytes")
        case http.Error_RateLimited(after):
            return failure(Disposition.RATE_LIMITED, "rate-limited", "doi.org asks to slow down", after)
        case http.Error_Transport(cause):
            return failure(Disposition.RETRY, "transport", f"doi.org was not reached: {cause}")
        case _:
            return failure(Disposition.RETRY, "timeout", "doi.org gave no complete answer in time")


def of_status(status: int) -> Err:
    """An answer came, and it is no success."""
    message = f"doi.org answered with status {status}"
    if status == 429:
        return failure(Disposition.RATE_LIMITED, "rate-limited", message, status=status)
    passes = status in (408, 425) or status >= 500
    return failure(Disposition.RETRY if passes else Disposition.GIVE_UP, "http-status", message, status=status)
