import json
import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest

import unmask
from unmask.errors import Error
from unmask.pictures.timeline import timelines
from unmask.sampling.trace import read_trace

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>&\x1b]0;t\x07\x9b\u202e\ufffe"


def trace_of(folder: Path, frames: list[dict], lengths=(4,), run="masked", end=True) -> Path:
    """Write a trace; a frame is step -> [[position, token, confidence], ...] of text 0 or of several."""
    vocabulary = {"pad": 0, "bos": 1, "eos": 2, "mask": 3}
    requests = [{"length": n, "index": i, "settings": {}} for i, n in enumerate(lengths)]
    header = {"format": 1, "kind": "unmask-trace", "sampler": "confidence", "run": run, "vocabulary": vocabulary}
    header |= {"tokenizer": {"name": "x", "fingerprint": "0"}, "requests": requests, "created": "2026-11-30"}
    lines = [header, *frames, *([{"end": len(frames)}] if end else [])]
    path = folder / "t.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def row(step, *sets, length=4, request=0, **more):
    return {"request": request, "step": step, "set": [list(one) for one in sets], "length": length, **more}


@pytest.fixture
def trace(tmp_path):
    strings = {"1": "", "2": "", "8": "Return", "9": " the", "10": " कि", "11": "ि", "12": " क", "13": HOSTILE}
    return trace_of(
        tmp_path,
        [
            {"rows": [row(0, (0, 1, 1.0), (1, 8, 1.0), length=6)], "strings": strings},
            {"rows": [row(1, (5, 13, 0.3), (2, 9, 0.9), length=6)]},
            {"rows": [row(2, (2, 3, 0.0), (4, 11, 0.7), length=6)]},
            {"rows": [row(3, (2, 10, 0.1), (3, 12, 0.6), length=6)]},
        ],
        lengths=(6,),
        run=HOSTILE,
    )


def told(trace: Path):
    return [[(m.frame, m.kind, m.text) for m in place.moments] for place in timelines(read_trace(trace))[0].places]


def test_a_place_shows_what_the_trace_says_and_no_letter_is_split_between_two(trace):
    places = told(trace)
    assert places[0] == [(0, "given", "Return")]
    assert places[1] == [(0, "open", ""), (1, "word", "the"), (2, "open", ""), (3, "word", "कि")]
    assert places[2] == [(0, "open", ""), (3, "word", "कि")]  # a letter and its sign, from two tokens
    first = timelines(read_trace(trace))[0]
    assert first.steps == (0, 1, 2, 3) and [p.space for p in first.places] == [0, 1, 1, 0]
    assert first.places[1].width == 3  # as wide as the widest word that it ever shows
    assert first.places[2].moments[-1].confidence == 0.6  # the least of its tokens'


def test_what_a_later_block_writes_waits_for_it(tmp_path):
    strings = {"1": "", "8": " a", "10": "b"}
    path = trace_of(
        tmp_path,
        [
            {"rows": [row(0, (0, 1, 1.0), length=3, block=[0, 0])], "strings": strings},
            {"rows": [row(1, (1, 8, 0.5), length=3, block=[1, 2])]},
            {"rows": [row(2, length=3, block=[2, 3])]},
            {"rows": [row(3, (2, 10, 0.9), length=3, block=[2, 3])]},
        ],
        lengths=(3,),
    )
    assert told(path) == [
        [(0, "waiting", ""), (1, "word", "a")],
        [(0, "waiting", ""), (2, "open", ""), (3, "word", "b")],
    ]
    page, picture = (unmask.draw_trace(path, output=tmp_path / f"x.{kind}") for kind in ("html", "svg"))
    assert "in a later block" in page.path.read_text() and 'height="2"' in picture.path.read_text()


def test_candidates_line_feeds_and_the_end_of_a_text_are_places(tmp_path):
    strings = {"1": "", "2": "", "8": " a", "9": "\n\n  ", "10": "b"}
    path = trace_of(
        tmp_path,
        [
            {"rows": [row(0, (0, 1, 1.0), length=5, candidates=[[1, [[8, 0.6], [10, 0.4]]]])], "strings": strings},
            {"rows": [row(1, (1, 8, 0.5), (2, 9, 0.9), (3, 10, 0.9), length=4)]},
        ],
        lengths=(5,),
    )
    (text,) = timelines(read_trace(path))
    kinds = [[(m.kind, m.text) for m in place.moments] for place in text.places]
    assert kinds[0] == [("guess", "a"), ("word", "a")]
    assert kinds[1] == [("open", ""), ("word", "\u21b5")] and (text.places[1].breaks, text.places[1].indent) == (2, 2)
    assert kinds[3] == [("open", ""), ("gone", "")]


class Page(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags: list[tuple[str, dict]] = []
        self.inside: dict[str, str] = {}

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        tag, attrs = self.tags[-1] if self.tags else ("", {})
        self.inside[attrs.get("id", tag)] = self.inside.get(attrs.get("id", tag), "") + data


def test_a_page_holds_its_trace_as_data_loads_nothing_and_runs_nothing_of_it(trace, tmp_path):
    drawn = unmask.draw_trace(trace, tmp_path / "x.html")
    text = (tmp_path / "x.html").read_text()
    page = Page()
    page.feed(text)
    assert drawn.whole and drawn.frames == 4 and drawn.bytes == len(text.encode())
    assert [tag for tag, _ in page.tags].count("script") == 2 and "img" not in {tag for tag, _ in page.tags}
    assert not any(name.startswith("on") for _, attrs in page.tags for name in attrs)
    assert not re.search(r"(?:src|href)=\"(?!data:,)|url\(|@import|https?:", text)
    policy = next(attrs["content"] for _, attrs in page.tags if attrs.get("http-equiv"))
    assert "default-src 'none'" in policy and "unsafe" not in policy and policy.count("sha256-") == 2
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]", text)
    content = json.loads(page.inside["content"])
    assert content["frames"] == 4 and len(content["texts"][0]["places"]) == 4
    assert content["texts"][0]["places"][3]["moments"][-1][2].startswith("</script><script>")
    assert {attrs.get("id") for tag, attrs in page.tags} >= {"play", "step", "speed", "colour", "back", "on", "heard"}


def test_a_picture_is_one_whole_svg_without_script_in_which_every_word_appears_at_its_step(trace, tmp_path):
    unmask.draw_trace(trace, tmp_path / "x.svg")
    text = (tmp_path / "x.svg").read_text()
    root = ElementTree.fromstring(text)
    space = "{http://www.w3.org/2000/svg}"
    assert {element.tag.removeprefix(space) for element in root.iter()} == {
        "svg",
        "title",
        "desc",
        "style",
        "rect",
        "text",
    }
    assert not any("href" in name or name.startswith("on") for element in root.iter() for name in element.attrib)
    style = root.find(f"{space}style").text
    assert "@import" not in style and "url(" not in style and "prefers-reduced-motion" in style
    words = {element.text: element.get("class") for element in root.iter(f"{space}text")}
    assert words["the"] == "t v1-2" and words["Return"] == "g" and "v3-4" in words["कि"]
    for name in re.findall(r"v\d+-\d+", " ".join(element.get("class", "") for element in root.iter())):
        assert f"@keyframes {name}{{" in style
    # 4 frames at 6 a second and a rest of 3 seconds: what appears with frame 1 does so after 1/6 s
    assert f"{{{100 / 6 / (4 / 6 + 3):.2f}%{{opacity:1}}" in style.split("@keyframes v1-2")[1].replace(
        "0%{opacity:0}", "", 1
    )


def test_several_texts_stand_below_each_other_and_a_cut_trace_says_so(tmp_path):
    strings = {"1": "", "8": "a", "9": " b"}
    rows = [row(0, (0, 1, 1.0), length=3), row(0, (0, 1, 1.0), length=3, request=1)]
    later = [row(1, (1, 8, 0.9), (2, 9, 0.9), length=3), row(1, (1, 9, 0.2), length=3, request=1)]
    path = trace_of(tmp_path, [{"rows": rows, "strings": strings}, {"rows": later}], lengths=(3, 3), end=False)
    for name in ("x.html", "x.svg"):
        assert not unmask.draw_trace(path, tmp_path / name).whole
    assert "is cut short" in (tmp_path / "x.html").read_text()
    assert "text 2" in (tmp_path / "x.svg").read_text()


def test_another_kind_of_file_is_refused(trace, tmp_path):
    with pytest.raises(Error, match=r"\.html \(a page\) or \.svg"):
        unmask.draw_trace(trace, tmp_path / "x.gif")
    with pytest.raises(Error, match="cannot write"):
        unmask.draw_trace(trace, tmp_path / "nowhere" / "x.svg")
