"""The lecture on sliders, exported: one file that lives with no kernel and no network."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lab import chromium
from nbconvert import HTMLExporter

pytestmark = pytest.mark.browser

LECTURE = Path(__file__).parents[1] / "examples" / "sliders.ipynb"
EXPLORERS = 6
BRANCH, LAST = 3, 5


@pytest.fixture(scope="module")
def lecture(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    file = tmp_path_factory.mktemp("exported") / "sliders.html"
    file.write_text(HTMLExporter().from_filename(str(LECTURE))[0], encoding="utf-8")
    with chromium() as browser:
        page = browser.new_context(offline=True).new_page()
        page.broken = []
        page.on("pageerror", lambda error: page.broken.append(str(error)))
        page.route(re.compile("^https?:"), lambda route: route.abort())
        page.goto(f"file://{file}")
        yield page


def readout(explorer: Any) -> list[str]:
    explorer.page.wait_for_timeout(60)
    return [text for text in explorer.locator(".item .digits").all_inner_texts() if text]


def test_every_explorer_lives(lecture: Any) -> None:
    explorers = lecture.locator(".tapemagic-explorer")
    assert explorers.count() == EXPLORERS
    for which in range(EXPLORERS):
        explorer = explorers.nth(which)
        explorer.locator(".explorer").wait_for()
        before, slots = readout(explorer), explorer.locator("[data-slot]")
        told = slots.all_text_contents()
        explorer.locator("input[type=range]").first.focus()
        for _ in range(3):
            lecture.keyboard.press("ArrowRight")
        assert len(before) >= 2 and readout(explorer) != before
        assert slots.all_text_contents() != told
        assert explorer.locator("input[type=range]").count() == (2 if which == LAST else 1)
    assert lecture.broken == []


def test_the_other_branch_is_in_the_page(lecture: Any) -> None:
    explorer = lecture.locator(".tapemagic-explorer").nth(BRANCH)
    assert "sin" not in explorer.locator(".tapemagic").inner_text()
    explorer.locator("input[type=range]").first.focus()
    lecture.keyboard.press("Home")
    lecture.wait_for_timeout(100)
    assert "sin" in explorer.locator(".tapemagic").inner_text()


def test_without_a_script_the_picture_stands_there(lecture: Any) -> None:
    context = lecture.context.browser.new_context(java_script_enabled=False, offline=True)
    page = context.new_page()
    page.goto(lecture.url)
    pictures = page.locator(".tapemagic-explorer img")
    assert pictures.count() == EXPLORERS
    box = pictures.first.bounding_box()
    assert box["width"] > 300 and box["height"] > 200
    assert pictures.first.get_attribute("alt") == "y at x = 1 is 10, the slope is 19"
    assert page.locator(".tapemagic-explorer math").count() > 20
    context.close()
