"""What an OAI-PMH repository says of one record, and which files that names.

The protocol: http://www.openarchives.org/OAI/openarchivesprotocol.html. Must never import the component's bindings,
so that all of it is tested on any Python: `python3 -m unittest`.
"""

import re
from dataclasses import dataclass, field
from urllib.parse import quote, urlsplit
from xml.etree import ElementTree

OAI = "{http://www.openarchives.org/OAI/2.0/}"
DC = "{http://purl.org/dc/elements/1.1/}"

# The vocabulary of OpenAIRE's guidelines; what a repository marks with these is not for everybody.
CLOSED = ("info:eu-repo/semantics/closedaccess", "info:eu-repo/semantics/restrictedaccess",
          "info:eu-repo/semantics/embargoedaccess")
VERSIONS = {"draft": "submitted", "submittedversion": "submitted", "acceptedversion": "accepted",
            "publishedversion": "published", "updatedversion": "published"}


class NotUnderstood(Exception):
    """The answer is none that the protocol knows."""


class Refused(Exception):
    """The repository answered with an error of the protocol: a wrong setting, mostly."""


@dataclass
class Record:
    """What one record says of its work."""

    files: list[str] = field(default_factory=list)
    pages: list[str] = field(default_factory=list)
    version: str | None = None
    license: str | None = None


def record_name(pattern: str, template: str, names: list[str]) -> str | None:
    """The repository's name of a work, made from the first of its names (`doi:10.1000/7`) that fits the pattern.

    `pattern` is a regular expression for a whole name, and `template` may use its groups: `oai:repo.example.org:\\1`.
    """
    for name in names:
        found = re.fullmatch(pattern, name, re.IGNORECASE)
        if found:
            return found.expand(template)
    return None


def request(base: str, name: str) -> str:
    """The URL that asks for one record in Dublin Core, which every repository has."""
    return f"{base}?verb=GetRecord&metadataPrefix=oai_dc&identifier={quote(name, safe='')}"


def read(answer: bytes) -> Record | None:
    """The record, or None where the repository has none, has deleted it, or keeps it closed."""
    try:
        root = ElementTree.fromstring(answer)
    except ElementTree.ParseError as error:
        raise NotUnderstood(f"it is not XML: {error}") from None
    if root.tag != OAI + "OAI-PMH":
        raise NotUnderstood("it is XML, but no answer of OAI-PMH")
    error = root.find(OAI + "error")
    if error is not None:
        code = error.get("code", "")
        if code in ("idDoesNotExist", "noRecordsMatch"):
            return None
        raise Refused(f"{code}: {(error.text or '').strip()[:200]}")
    record = root.find(f"{OAI}GetRecord/{OAI}record")
    if record is None:
        raise NotUnderstood("it has neither a record nor an error")
    header = record.find(OAI + "header")
    if header is not None and header.get("status") == "deleted":
        return None
    return dublin_core(record)


def dublin_core(record: ElementTree.Element) -> Record | None:
    """What the fields of Dublin Core say, whichever of them the repository uses for what."""
    def values(name: str) -> list[str]:
        return [element.text.strip() for element in record.iter(DC + name) if element.text and element.text.strip()]

    rights = values("rights")
    if any(right.lower() in CLOSED for right in rights):
        return None
    found = Record(license=next((right for right in rights if "creativecommons.org/" in right), None))
    for kind in values("type"):
        found.version = VERSIONS.get(kind.lower().rpartition("/")[2], found.version)
    for url in values("identifier") + values("relation"):
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or parts.hostname in (None, "doi.org", "dx.doi.org"):
            continue
        is_file = parts.path.lower().endswith(".pdf") or "/bitstream" in parts.path
        kept = found.files if is_file else found.pages
        if url not in kept:
            kept.append(url)
    return found
