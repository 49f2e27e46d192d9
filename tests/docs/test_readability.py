"""The readability of a page is counted on its prose: no code, no table, no heading."""

from __future__ import annotations

from benchmarks.docs.readability import read, sentences

PAGE = """# A heading of five words

One two three. Four [five six](x.md) `seven`; *eight.* Is nine
ten?

- An item.
- Another item here

| a table | has no sentence. None. |
|---|---|

```bash
no prose. at all.
```
"""


def test_sentences_are_those_of_the_prose():
    found = ["One two three.", "Four five six x; *eight.", "Is nine ten?", "An item.", "Another item here"]
    assert sentences(PAGE) == found


def test_long_lines_and_sentences_are_counted_as_shares():
    page = "word " * 40 + ".\n\nshort.\n"
    assert (read(page).long_lines, read(page).long_sentences) == (0.5, 0.5)
