"""The served page does what it promises, driven as people drive it: by click, by keyboard, on a phone."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any

import pytest

from browser.driving import at, calm, drop, kinds, text, trace, write

pytestmark = pytest.mark.browser
HOSTILE = "</p><img src=x onerror=\"document.title='!'\"><script>document.title='!'</script>"
STREAM = Path(__file__).parent.parent / "fixtures" / "canvas-v1.sse"


def test_an_empty_page_explains_itself_and_has_an_example_ready(page: Any, watched: Any) -> None:
    assert page.get_by_label("A beginning").input_value()
    assert "comes out of noise" in page.locator(".empty").inner_text() and not page.locator("#player").is_visible()
    page.get_by_role("button", name="Holes").click()
    assert "____" in page.get_by_label("A beginning").input_value()
    assert calm(watched)


def test_a_beginning_is_written_on_and_every_step_can_be_looked_at(page: Any, watched: Any) -> None:
    write(page, "the red boat ")
    whole, last = text(page), int(page.locator("#step").get_attribute("max") or 0)
    assert whole.startswith("the red boat") and "open" not in kinds(page) and last > 2
    at(page, 0)
    assert "written" not in kinds(page) and kinds(page).count("open") > 3
    page.get_by_role("button", name="One step on").click()
    some = kinds(page).count("written")
    assert some > 0
    page.get_by_role("button", name="One step back").click()
    assert kinds(page).count("written") == 0 and page.get_by_role("button", name="One step back").is_disabled()
    at(page, last)
    assert text(page) == whole
    shades = page.locator(".written").evaluate_all(
        "all => all.map((one) => one.className.match(/\\bt[0-4]\\b/) !== null)"
    )
    assert shades and all(shades)
    assert calm(watched)


def test_it_is_played_and_paused(page: Any, watched: Any) -> None:
    page.emulate_media(reduced_motion="no-preference")
    page.get_by_label("A beginning").fill("the red boat ")
    page.get_by_role("button", name="Write", exact=True).click()
    page.locator(".written").first.wait_for(timeout=60_000)
    page.get_by_role("button", name="Pause").click()
    here = page.locator("#at").inner_text()
    page.wait_for_timeout(400)
    assert page.locator("#at").inner_text().split(" of ")[0] == here.split(" of ")[0]
    page.keyboard.press(".")
    assert page.locator("#at").inner_text().split()[0] == str(int(here.split()[0]) + 1)
    page.keyboard.press(",")
    page.locator("h1").click()
    page.keyboard.press("k")
    assert page.get_by_role("button", name="Pause").is_visible()
    page.get_by_role("button", name="Play").wait_for(timeout=60_000)  # it stops at the end by itself
    assert "Finished" in page.locator("#heard").inner_text()
    assert calm(watched)


def test_a_word_is_locked_and_another_cleared_and_the_run_goes_on_from_there(page: Any, watched: Any) -> None:
    write(page, "the red boat ")
    page.locator(".word", has=page.locator(".written")).first.focus()
    page.keyboard.press("l")
    locked = page.locator(".word.locked")
    assert locked.count() == 1 and "locked" in page.locator(".facts").inner_text()
    kept = locked.inner_text()
    key = locked.get_attribute("data-key")
    page.locator("#step").focus()
    page.get_by_role("button", name="Write it anew").click()
    page.get_by_role("button", name="Version 2").wait_for(timeout=60_000)
    page.locator("body:not(.playing)").wait_for(state="attached", timeout=60_000)
    assert page.locator(f'.word[data-key="{key}"]').inner_text().startswith(kept)
    last = page.locator(".word", has=page.locator(".written")).last
    last.click()
    page.locator("#card").get_by_role("button", name="Clear").click()
    assert page.locator(".word.cleared").count() == 1
    page.get_by_role("button", name="Go on from here").click()
    page.get_by_role("button", name="Version 3").wait_for(timeout=60_000)
    page.locator("body:not(.playing)").wait_for(state="attached", timeout=60_000)
    assert text(page).startswith("the red boat") and "open" not in kinds(page)
    page.get_by_role("button", name="Version 1").click()
    assert page.get_by_role("button", name="Version 1").get_attribute("aria-pressed") == "true"
    assert calm(watched)


def test_going_on_from_the_middle_keeps_what_was_there(page: Any, watched: Any) -> None:
    write(page, "the red boat ")
    at(page, 2)
    before = page.locator(".place.written .now").all_inner_texts()
    page.get_by_role("button", name="Go on from here").click()
    page.get_by_role("button", name="Version 2").wait_for(timeout=60_000)
    page.locator("body:not(.playing)").wait_for(state="attached", timeout=60_000)
    at(page, 0)
    assert page.locator(".place.written .now").all_inner_texts() == before
    assert calm(watched)


def test_holes_are_filled_between_the_words_that_were_given(page: Any, watched: Any) -> None:
    write(page, "the red ____ sat.")
    assert re.fullmatch(r"the red .*sat\.", text(page), re.DOTALL)
    assert calm(watched)


def test_two_runs_write_side_by_side(page: Any, watched: Any) -> None:
    page.get_by_role("button", name="Side by side").click()
    names = page.locator(".model").evaluate_all("all => all.map((one) => one.value)")
    assert len(names) == 2 and names[0] != names[1]
    write(page, "the red boat ")
    page.locator(".pane").nth(1).locator(".written").first.wait_for(timeout=60_000)
    page.locator("body:not(.playing)").wait_for(state="attached", timeout=60_000)
    assert text(page, 0).startswith("the red boat") and text(page, 1).startswith("the red boat")
    at(page, 1)
    assert (
        page.locator(".facts").nth(0).inner_text().startswith("step 1")
        and "step 1" in page.locator(".facts").nth(1).inner_text()
    )
    page.get_by_role("button", name="Side by side").click()
    assert page.locator(".pane").count() == 1
    assert calm(watched)


def test_steps_are_set_by_a_slider(page: Any, watched: Any) -> None:
    page.locator(".steps input").fill("3")
    assert page.locator(".steps output").inner_text() == "3"
    write(page, "the red boat ")
    assert page.locator(".facts").inner_text().startswith("step 3")
    assert calm(watched)


def test_a_trace_is_saved_and_dropped_in_again(page: Any, watched: Any, tmp_path: Path) -> None:
    from unmask.sampling.trace import read_trace

    write(page, "the red boat ")
    whole = text(page)
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Save the trace").click()
    waiting.value.save_as(tmp_path / "t.jsonl")
    trace = read_trace(tmp_path / "t.jsonl")
    assert trace.whole and trace.texts()[0].startswith("the red boat")
    page.reload()
    page.locator(".model option").first.wait_for(state="attached")
    drop(page, (tmp_path / "t.jsonl").read_text(encoding="utf-8"))
    page.locator(".written").first.wait_for()
    page.locator("body:not(.playing)").wait_for(state="attached", timeout=60_000)
    assert text(page) == whole
    at(page, 1)
    assert "open" in kinds(page)
    assert page.get_by_role("button", name="Go on from here").is_visible()  # its run is served
    assert calm(watched)


def test_what_stands_in_a_trace_is_text_and_nothing_else(page: Any, watched: Any) -> None:
    sets = [[[0, 1, 1.0]], [[1, 8, 0.9]]]
    drop(page, trace({"1": "", "8": HOSTILE}, sets, 2, run=HOSTILE))
    page.locator(".written").first.wait_for()
    assert HOSTILE in page.locator(".facts").inner_text()
    page.locator(".word").first.click()
    assert HOSTILE.strip() in page.locator("#card").inner_text()
    assert page.locator("main img").count() == 0 and "!" != page.title() and calm(watched)


def test_files_that_are_no_traces_are_answered_in_words(page: Any, watched: Any) -> None:
    whole = trace({"1": "", "8": "red"}, [[[0, 1, 1.0]], [[1, 8, 0.9]]], 2)
    for content, words in (
        ("hello", "not a trace"),
        ('{"kind": "unmask-trace", "format": 99}', "format 99"),
        (trace({"1": ""}, [[[0, 1, 1.0]], [[7, 1, 0.9]]], 2), ""),
        (whole.splitlines()[0], "holds no step"),
    ):
        drop(page, content)
        if words:
            page.get_by_role("alert").filter(has_text=words).wait_for()
        else:  # damaged behind its first step: what came before is shown
            page.locator(".canvas .word").first.wait_for(state="attached")
    assert watched.complaints == [] and watched.fits()


def test_letters_of_devanagari_are_never_split(page: Any, watched: Any) -> None:
    strings = {"1": "", "8": " क्", "9": "षि", "10": [224, 164], "11": [174], "12": "ा"}
    sets = [[[0, 1, 1.0]], [[1, 8, 0.9], [3, 10, 0.7]], [[2, 9, 0.8]], [[4, 11, 0.4]], [[5, 12, 0.6]]]
    drop(page, trace(strings, sets, 6))
    page.locator(".written").first.wait_for()
    page.locator("body:not(.playing)").wait_for(state="attached")
    assert page.locator(".place.written .now").all_inner_texts() == ["क्षि", "मा"]
    at(page, 1)
    assert kinds(page) == ["open", "open"] and "\ufffd" not in text(page)
    assert calm(watched)


def test_candidates_of_a_place_are_shown_on_hover_and_what_stood_there_before(page: Any, watched: Any) -> None:
    lines = trace(
        {"1": "", "8": " red", "9": " old"}, [[[0, 1, 1.0]], [[1, 8, 0.6]], [[1, 3, 0.0]], [[1, 9, 0.9]]], 2
    ).splitlines()
    opened = json.loads(lines[1])
    opened["rows"][0]["candidates"] = [[1, [[9, 0.75], [8, 0.25]]]]
    drop(page, "\n".join([lines[0], json.dumps(opened), *lines[2:]]))
    page.locator(".written").first.wait_for()
    page.locator("body:not(.playing)").wait_for(state="attached")
    page.locator(".word").first.hover()
    card = page.locator("#card")
    card.get_by_text("Before: red (step 1)").wait_for()
    assert "90 %" in card.inner_text() and "step 3" in card.inner_text()
    page.keyboard.press("Escape")
    at(page, 0)
    assert kinds(page) == ["guess"]
    page.locator(".word").first.focus()
    page.keyboard.press("Enter")
    card.get_by_text("75 %").wait_for()
    assert [line.split()[0] for line in card.locator(".meter").all_inner_texts()] == ["old", "red"]
    page.keyboard.press("Escape")
    assert not card.is_visible()
    assert page.evaluate("document.activeElement.classList.contains('word')")
    assert calm(watched)


def test_what_the_server_refuses_is_said_in_its_words(page: Any, watched: Any) -> None:
    page.locator(".model").select_option("left")
    page.get_by_label("A beginning").fill("the red ____ sat.")
    page.get_by_role("button", name="Write", exact=True).click()
    page.get_by_role("alert").filter(has_text="left to right").wait_for()
    assert page.locator(".empty").is_visible()
    watched.complaints.clear()  # the browser's own note of a status above 399
    write(page, "the red boat ")
    assert not page.get_by_role("alert").is_visible() and calm(watched)


def test_the_server_is_asked_what_else_could_stand_at_a_place(page: Any, watched: Any) -> None:
    write(page, "the red boat ")
    page.locator(".word", has=page.locator(".written")).first.hover()
    card = page.locator("#card")
    card.locator(".candidates .meter").nth(5).wait_for()
    shares = [float(line.split()[-2].strip("<")) for line in card.locator(".candidates .meter").all_inner_texts()]
    assert shares == sorted(shares, reverse=True) and 0 < sum(shares) <= 100.5
    page.mouse.move(0, 0)
    card.wait_for(state="hidden")
    at(page, 0)
    page.locator(".word", has=page.locator(".open")).first.hover()
    card.locator(".candidates .meter").nth(5).wait_for()
    assert "still open" in card.inner_text() and calm(watched)


def test_the_whole_page_is_reached_by_keyboard_and_focus_is_seen(page: Any, watched: Any) -> None:
    write(page, "the red boat ")
    page.locator("h1").click()
    seen, unseen = list[str](), list[str]()
    for _ in range(40):
        page.keyboard.press("Tab")
        name, outline = page.evaluate(
            """() => { const one = document.activeElement, style = getComputedStyle(one);
                return [one.id || one.className || one.tagName, style.outlineStyle + style.outlineWidth]; }"""
        )
        if name == "BODY":
            break
        seen.append(name)
        if outline in ("none0px", "none3px"):
            unseen.append(name)
    assert {"compare", "load", "theme", "prompt", "write", "model", "sampler", "word", "play", "step"} <= set(seen)
    assert unseen == []
    word = page.locator('.word[tabindex="0"]')
    word.focus()
    page.keyboard.press("End")
    assert page.locator(".word").last.evaluate("one => one === document.activeElement")
    assert "percent sure" in (page.locator(".word").last.get_attribute("aria-label") or "")
    assert calm(watched)


def test_colours_follow_the_system_and_the_switch_and_are_kept(page: Any, watched: Any) -> None:
    def paper() -> str:
        return str(page.evaluate("getComputedStyle(document.body).backgroundColor"))

    page.emulate_media(color_scheme="light")
    light = paper()
    page.emulate_media(color_scheme="dark")
    dark = paper()
    assert light != dark
    page.get_by_role("button", name="Colours").click()
    assert paper() == light
    page.reload()
    assert paper() == light and page.get_by_role("button", name="Colours: light").is_visible()


def test_shades_of_confidence_differ_in_lightness_and_leave_words_readable(page: Any) -> None:
    drop(
        page,
        trace(
            {"1": "", **{str(8 + n): f" word{n}" for n in range(5)}},
            [[[0, 1, 1.0]], [[1 + n, 8 + n, 0.1 + 0.2 * n] for n in range(5)]],
            6,
        ),
    )
    page.locator(".written").nth(4).wait_for()
    page.locator("body:not(.playing)").wait_for(state="attached")
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        found = page.evaluate(LIGHTNESS)
        shades, ink, soft, sheet = found["shades"], found["ink"], found["soft"], found["sheet"]
        assert shades == sorted(shades, reverse=scheme == "dark")  # the surer, the nearer to the sheet
        assert min(contrast(ink, shade) for shade in shades) >= 4.5 and contrast(soft, sheet) >= 4.5
        assert all(contrast(one, other) > 1.04 for one, other in zip(shades, shades[1:], strict=False))


LIGHTNESS = """() => {
    const pen = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
    const linear = (part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    const light = (...layers) => {
        for (const layer of layers) { pen.fillStyle = layer; pen.fillRect(0, 0, 1, 1); }
        const [r, g, b] = [...pen.getImageData(0, 0, 1, 1).data].map((part) => linear(part / 255));
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const style = (one) => getComputedStyle(one), sheet = style(document.querySelector(".sheet")).backgroundColor;
    const shades = [...document.querySelectorAll(".written")].map((one) => light(sheet, style(one).backgroundColor));
    const [ink, soft] = [document.body, document.querySelector(".facts")].map((one) => light(style(one).color));
    return { shades, ink, soft, sheet: light(sheet) };
}"""


def contrast(one: float, other: float) -> float:
    """The contrast of WCAG 2 between two relative luminances."""
    return (max(one, other) + 0.05) / (min(one, other) + 0.05)


def test_evidence_and_a_thought_are_shown_and_what_is_steered_is_asked_for(watched: Any, served: str) -> None:
    page, asked = watched.page, list[dict[str, Any]]()
    page.emulate_media(reduced_motion="reduce")
    offers = json.loads(page.request.get(served + "v1/unmask").text())
    offers["models"] = [{**offers["models"][0], "thoughts": {"shape": [1, 2, 4], "passage": 12}, "evidence": True}]
    offers["indexes"] = [{"name": "tales", "texts": 2}]
    page.route("**/v1/unmask", lambda route: route.fulfill(json=offers))
    told = {"evidence": [{"text": HOSTILE, "score": 0.5}], "thought": thought([[1.0, -1.0, 0.5, 0.0], [0.0] * 4])}
    stream = STREAM.read_text(encoding="utf-8").split("data: ")
    answer = json.loads(stream[-2])
    answer["choices"][0]["unmask"] |= told
    stream[-2] = json.dumps(answer) + "\n\n"

    def answered(route: Any) -> None:
        asked.append(route.request.post_data_json)
        route.fulfill(body="data: ".join(stream), content_type="text/event-stream")

    page.route("**/v1/completions", answered)
    page.goto(served)
    page.get_by_text("Settings", exact=True).click()
    page.get_by_label("Steer to the words").fill("fox, home")
    page.locator("label", has_text="Steering").locator("input").fill("1.5")
    page.get_by_label("Evidence from").select_option("tales")
    write(page, "The fox")
    assert asked[0]["unmask"]["steering"] == {"keywords": ["fox", "home"], "strength": 1.5}
    assert asked[0]["unmask"]["index"] == "tales" and asked[0]["unmask"]["return_thought"] is True
    page.get_by_text("Evidence", exact=True).click()
    assert (
        page.locator(".evidence li").inner_text().startswith(HOSTILE)
        and "0.50" in page.locator(".evidence").inner_text()
    )
    page.locator(".thought summary").click()
    assert "2 cells, 4 channels" in page.locator(".thought").inner_text()
    assert page.locator(".thought canvas").evaluate("one => [one.width, one.height]") == [4, 2]
    with page.expect_response("**/v1/completions"):
        page.get_by_role("button", name="Go on from this thought").click()
    page.get_by_role("button", name="Version 2").wait_for()
    page.locator("body:not(.playing) .written").first.wait_for()
    assert (
        asked[1]["unmask"]["thought"] == told["thought"]
        and "prompt" not in asked[1]
        and "index" not in asked[1]["unmask"]
    )
    assert text(page) == "The fox walked slowly back home." and calm(watched)
    page.get_by_label("Text", exact=True).select_option("1")  # the stream has two texts
    at(page, 4)
    assert text(page) == "The fox sadly said घर."


def thought(cells: list[list[float]]) -> str:
    """The base64 of a safetensors file with the cells of a thought."""
    from safetensors.torch import save
    from torch import tensor

    return base64.b64encode(save({"before": tensor(cells), "cells": tensor(cells)})).decode()


def test_two_samplers_of_one_run_write_side_by_side_as_their_sliders_say(page: Any, watched: Any) -> None:
    asked = list[dict[str, Any]]()
    page.on("request", lambda one: asked.append(one.post_data_json) if one.url.endswith("/completions") else None)
    page.get_by_role("button", name="Side by side").click()
    for side, (sampler, temperature) in enumerate((("confidence", "0.5"), ("remasking", "1.25"))):
        pane = page.locator(".pane").nth(side)
        pane.locator(".model").select_option("hidden")
        pane.locator(".sampler").select_option(sampler)
        pane.get_by_text("Settings", exact=True).click()
        pane.locator("label.slide", has_text="Temperature").locator("input").fill(temperature)
        pane.locator("label.slide", has_text="Length").locator("input").fill(str(6 + side))
        pane.locator(".steps input").fill(str(4 + side))
    write(page, "the red boat ")
    page.locator(".pane").nth(1).locator(".written").first.wait_for(timeout=60_000)
    page.locator("body:not(.playing)").wait_for(state="attached", timeout=60_000)
    told = sorted(
        (one["unmask"]["sampler"], one["unmask"]["steps"], one["temperature"], one["max_tokens"]) for one in asked
    )
    assert told == [("confidence", 4, 0.5, 6), ("remasking", 5, 1.25, 7)] and {one["model"] for one in asked} == {
        "hidden"
    }
    assert text(page, 0).startswith("the red boat") and text(page, 1).startswith("the red boat")
    assert calm(watched)
