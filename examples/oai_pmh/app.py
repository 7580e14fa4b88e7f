"""Resolver `oai_pmh`: the files of one institutional repository, found by a name that its works' identifiers give.

Joins the host's imports to oai.py; must never do more, because only what lies there is tested without a component.
"""

import re

import oai
from componentize_py_types import Err
from wit_world.exports.resolver import Info
from wit_world.imports import config, http
from wit_world.imports.types import (Candidate, CandidateKind, Disposition, Failure, Field, Query, Resolution)


def failure(disposition: Disposition, code: str, message: str, after=None, status=None) -> Err:
    return Err(Failure(disposition, code, message, after, status))


def setting(name: str) -> str:
    value = config.get(name)
    if not value:
        raise failure(Disposition.GIVE_UP, "missing-setting", f"resolvers.oai_pmh has no setting {name}")
    return value


class Resolver:
    """What the world exports."""

    def describe(self) -> Info:
        return Info(
            name="oai_pmh",
            version="0.1.0",
            summary="The files of a repository that speaks OAI-PMH",
            takes=["doi", "hal", "zenodo", "isbn"],
            # The operator's repository is not known here: base-url names it, and a grant lets it be asked.
            hosts=[],
            settings=[
                Field("base-url!", "the repository's OAI-PMH address, such as https://repo.example.org/oai"),
                Field("match!", "a regular expression for names of works that are here: doi:10\\.1000/(.+)"),
                Field("record!", "the name of their records, made with its groups: oai:repo.example.org:\\1"),
            ],
        )

    def resolve(self, query: Query) -> Resolution:
        names = [f"{identifier.scheme}:{identifier.value}" for identifier in query.identifiers]
        try:
            name = oai.record_name(setting("match"), setting("record"), names)
        except (re.error, IndexError) as error:
            message = f"resolvers.oai_pmh: match and record do not go together: {error}"
            raise failure(Disposition.GIVE_UP, "wrong-setting", message) from None
        record = name and self.ask(setting("base-url"), name)
        if not record:
            return Resolution([], [], [])
        files = [self.candidate(url, CandidateKind.FILE, record) for url in record.files]
        pages = [self.candidate(url, CandidateKind.LANDING_PAGE, record) for url in record.pages]
        return Resolution(files + pages, [], [])

    @staticmethod
    def candidate(url: str, kind: CandidateKind, record: oai.Record) -> Candidate:
        return Candidate(url, kind, None, record.version, record.license, "repository", None, [])

    @staticmethod
    def ask(base: str, name: str) -> oai.Record | None:
        try:
            response = http.send(http.Request("GET", oai.request(base, name), [], None, None, None))
        except Err as error:
            raise of_error(base, error.value) from None
        if response.status in (404, 410):
            return None
        if not 200 <= response.status <= 299:
            raise of_status(base, response.status)
        try:
            return oai.read(response.body)
        except oai.Refused as error:
            raise failure(Disposition.GIVE_UP, "oai-error", f"{base} answered {error}") from None
        except oai.NotUnderstood as error:
            raise failure(Disposition.GIVE_UP, "unknown-shape", f"{base} answered, but {error}") from None


def of_error(place: str, error) -> Err:
    """No answer came."""
    match error:
        case http.Error_Denied(rule):
            return failure(Disposition.GIVE_UP, "denied", f"{place} may not be asked: {rule}")
        case http.Error_TooLarge(limit):
            return failure(Disposition.GIVE_UP, "too-large", f"{place} answered more than {limit} bytes")
        case http.Error_RateLimited(after):
            return failure(Disposition.RATE_LIMITED, "rate-limited", f"{place} asks to slow down", after)
        case http.Error_Transport(cause):
            return failure(Disposition.RETRY, "transport", f"{place} was not reached: {cause}")
        case _:
            return failure(Disposition.RETRY, "timeout", f"{place} gave no complete answer in time")


def of_status(place: str, status: int) -> Err:
    """An answer came, and it is no success: what may pass is tried again."""
    message = f"{place} answered with status {status}"
    if status == 429:
        return failure(Disposition.RATE_LIMITED, "rate-limited", message, status=status)
    passes = status in (408, 425) or status >= 500
    return failure(Disposition.RETRY if passes else Disposition.GIVE_UP, "http-status", message, status=status)
