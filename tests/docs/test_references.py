"""The bibliography is well formed, and holds every source that the docs cite."""

import re
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
BIBLIOGRAPHY = (ROOT / "docs" / "references.bib").read_text("utf-8")
ENTRIES = re.findall(r"^@(\w+)\{([\w-]+),\n(.*?)^\}", BIBLIOGRAPHY, re.MULTILINE | re.DOTALL)


def fields(body):
    return dict(re.findall(r"^  (\w+)\s*= \{(.*)\},$", body, re.MULTILINE))


def test_every_entry_is_read():
    assert len(ENTRIES) == BIBLIOGRAPHY.count("\n@")
    assert len({key for _, key, _ in ENTRIES}) == len(ENTRIES)


def test_entries_are_well_formed():
    for _, key, body in ENTRIES:
        entry = fields(body)
        assert len(entry) == len(body.strip().splitlines()), key
        assert "title" in entry, key
        for name, value in entry.items():
            assert value.count("{") == value.count("}"), (key, name)
            assert value.isascii(), (key, name)
        assert re.fullmatch(r"10\.\d{4,9}/[\w.()/-]+", entry.get("doi", "10.1000/x")), key
        assert re.fullmatch(r"\d{4}\.\d{5}", entry.get("eprint", "0000.00000")), key


def test_every_cited_source_is_there():
    cited = set()
    for path in (ROOT / "docs").rglob("*.md"):
        text = path.read_text("utf-8")
        cited |= set(re.findall(r"\[`(\w+)`\]", text)) | set(re.findall(r"`([a-z]+20\d\d)`", text))
    assert len(cited) >= 10
    assert cited <= {key for _, key, _ in ENTRIES}


def test_citation_file_names_what_the_format_requires():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert citation["cff-version"] == "1.2.0"
    assert citation["authors"] == [{"name": "The rephase developers"}]
    assert {"title", "message", "license", "version"} <= set(citation)
