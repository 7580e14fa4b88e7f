"""The source against every kind of answer: `python3 -m unittest`."""

import unittest

import source


class Reading(unittest.TestCase):
    def test_a_page_is_found_or_there_is_none(self):
        found = b'{"values":[7,{"type":"X"},{"type":"URL","data":{"value":"https://a.example/1"}}]}'
        self.assertEqual(source.page(found), "https://a.example/1")
        self.assertIsNone(source.page(b'{"values":[{"type":"URL","data":{"value":7}}]}'))

    def test_what_is_no_answer_is_said(self):
        for body, passing in ((b"<html>", True), (b"{}", False), (b"[]", False)):
            with self.assertRaises(source.NotUnderstood) as raised:
                source.page(body)
            self.assertEqual(raised.exception.passing, passing)

    def test_what_a_path_cannot_carry_is_encoded(self):
        self.assertEqual(source.request("10.1000/a b?c", None),
                         "https://doi.org/api/handles/10.1000/a%20b%3Fc?type=URL")


if __name__ == "__main__":
    unittest.main()
