"""oai.py against every kind of answer that a repository gives: `python3 -m unittest`."""

import unittest

import oai

HEAD = '<OAI-PMH xmlns="http://www.openarchives.org/OAI/2.0/"><responseDate>2024-01-01T00:00:00Z</responseDate>'


def record(fields: str, status: str = "") -> bytes:
    dc = f'<oai_dc:dc xmlns:oai_dc="urn:x" xmlns:dc="http://purl.org/dc/elements/1.1/">{fields}</oai_dc:dc>'
    return (f"{HEAD}<GetRecord><record><header{status}/><metadata>{dc}</metadata></record></GetRecord>"
            "</OAI-PMH>").encode()


def error(code: str) -> bytes:
    return f'{HEAD}<error code="{code}">text</error></OAI-PMH>'.encode()


class Reading(unittest.TestCase):
    def test_files_pages_rights_and_version_are_read(self):
        found = oai.read(record(
            "<dc:identifier>https://repo.example.org/1/</dc:identifier><dc:identifier>10.1000/1</dc:identifier>"
            "<dc:identifier>https://doi.org/10.1000/1</dc:identifier><dc:identifier/>"
            "<dc:relation>https://repo.example.org/1/a%20b.PDF</dc:relation>"
            "<dc:relation>https://repo.example.org/server/api/core/bitstreams/7/content</dc:relation>"
            "<dc:rights>info:eu-repo/semantics/openAccess</dc:rights>"
            "<dc:rights>https://creativecommons.org/licenses/by/4.0/</dc:rights>"
            "<dc:type>info:eu-repo/semantics/article</dc:type>"
            "<dc:type>info:eu-repo/semantics/acceptedVersion</dc:type>"))
        self.assertEqual(found, oai.Record(
            files=["https://repo.example.org/1/a%20b.PDF",
                   "https://repo.example.org/server/api/core/bitstreams/7/content"],
            pages=["https://repo.example.org/1/"], version="accepted",
            license="https://creativecommons.org/licenses/by/4.0/"))

    def test_unknown_deleted_and_closed_records_are_none(self):
        url = "<dc:identifier>https://repo.example.org/1.pdf</dc:identifier>"
        for right in ("closedAccess", "restrictedAccess", "embargoedAccess"):
            closed = f"<dc:rights>info:eu-repo/semantics/{right}</dc:rights>"
            self.assertIsNone(oai.read(record(url + closed)))
        self.assertIsNone(oai.read(record(url, ' status="deleted"')))
        self.assertIsNone(oai.read(error("idDoesNotExist")))

    def test_what_is_no_answer_is_said(self):
        for body in (b"", b"<html></html>", b"<open", HEAD.encode() + b"</OAI-PMH>", b"\xff\xfe"):
            with self.assertRaises(oai.NotUnderstood):
                oai.read(body)
        with self.assertRaises(oai.Refused):
            oai.read(error("cannotDisseminateFormat"))

    def test_entities_are_not_expanded_without_end(self):
        names = "".join(f'<!ENTITY e{n} "&e{n - 1};&e{n - 1};&e{n - 1};&e{n - 1};">' for n in range(1, 20))
        bomb = f'<!DOCTYPE x [<!ENTITY e0 "aaaaaaaaaa">{names}]><x>&e19;</x>'
        with self.assertRaises(oai.NotUnderstood):
            oai.read(bomb.encode())


class Names(unittest.TestCase):
    def test_the_first_name_that_fits_gives_the_records_name(self):
        names = ["doi:10.9/x", "doi:10.5281/Zenodo.12", "hal:hal-1"]
        name = oai.record_name(r"doi:10\.5281/zenodo\.(\d+)", r"oai:zenodo.org:\1", names)
        self.assertEqual(name, "oai:zenodo.org:12")
        self.assertIsNone(oai.record_name(r"doi:10\.5", "x", names))
        self.assertEqual(oai.request("https://r.example/oai", "oai:r:1/2&3"),
                         "https://r.example/oai?verb=GetRecord&metadataPrefix=oai_dc&identifier=oai%3Ar%3A1%2F2%263")


if __name__ == "__main__":
    unittest.main()
