"""The stepper in a real browser: keyboard, mouse, touch, print, and no script at all."""

import pytest
from torch import nn

from modulescope import step

PAGE = """<!doctype html>
<html lang="en" data-theme="{theme}"><head><meta charset="utf-8"><title>Stepper</title>
<meta name="viewport" content="width=device-width, initial-scale=1"></head>
<body>{body}</body></html>"""


@pytest.fixture(scope="module")
def stepper():
    net = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Linear(3, 4, bias=False))
    return step(net.state_dict)


@pytest.fixture
def show(browser, stepper):
    """Return a function that opens the stepper twice on one page, as a chapter may."""
    contexts = []

    def open_page(theme="light", **settings):
        context = browser.new_context(**settings)
        contexts.append(context)
        page = context.new_page()
        page.set_content(PAGE.format(theme=theme, body=stepper._repr_html_() * 2))
        return page

    yield open_page
    for context in contexts:
        context.close()


def keys_shown(page):
    visible = (
        page.locator(".ms-stepper").first.locator(".ms-grid > div").nth(2).locator("li:visible")
    )
    return [text.split("'")[1] for text in visible.all_inner_texts()]


def test_keyboard_walks_the_whole_story(show, stepper):
    page = show()
    first, second = page.locator(".ms-stepper").all()
    first.get_by_role("button", name="Next").focus()
    expected = []
    for number, row in enumerate(stepper.rows, 1):
        expected += [entry.key for entry in row.added]
        assert first.get_attribute("data-step") == str(number)
        assert keys_shown(page) == expected
        assert row.text in first.locator(".ms-say").inner_text()
        if row.kind == "line":
            line = stepper.sources[row.function].line(row.line)
            assert line.strip() in first.locator(".ms-now").inner_text()
        page.keyboard.press("ArrowRight")
    page.keyboard.press("Home")
    assert keys_shown(page) == []
    page.keyboard.press("End")
    assert keys_shown(page) == list(stepper.recording.result)
    assert second.get_attribute("data-step") == "1", "the other stepper must stay where it is"


def test_slider_tells_a_screen_reader_the_step_in_words(show, stepper):
    page = show()
    slider = page.get_by_role("slider").first
    slider.focus()
    page.keyboard.press("ArrowRight")
    assert slider.input_value() == "2"
    assert stepper.rows[1].text in slider.get_attribute("aria-valuetext")


def test_touch_on_a_phone_and_nothing_wider_than_the_screen(show):
    page = show(viewport={"width": 390, "height": 800}, has_touch=True, is_mobile=True)
    button = page.get_by_role("button", name="Next").first
    assert button.bounding_box()["height"] >= 40
    button.tap()
    assert page.locator(".ms-stepper").first.get_attribute("data-step") == "2"
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_play_stops_at_the_end(show, stepper):
    page = show()
    page.clock.install()
    page.get_by_role("button", name="Play").first.click()
    page.clock.run_for(1100 * (len(stepper.rows) + 3))
    assert page.locator(".ms-stepper").first.get_attribute("data-step") == str(len(stepper.rows))
    assert page.get_by_role("button", name="Play").count() == 2


def test_print_shows_the_list_in_place_of_the_controls(show):
    page = show()
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print")
    assert page.locator(".ms-all li").first.is_visible()
    assert not page.locator(".ms-live").first.is_visible()


def test_without_script_the_list_tells_everything(show, stepper):
    page = show(java_script_enabled=False)
    text = page.locator(".ms-stepper").first.inner_text()
    assert all(row.text in text for row in stepper.rows)
    assert all(f"'{key}'" in text for key in stepper.recording.result)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_has_contrast_in_both_themes(show, axe, theme):
    page = show(theme=theme)
    page.get_by_role("button", name="Next").first.click()
    violations = axe.run(page, context=".modulescope").response["violations"]
    assert [f"{v['id']}: {n['html'][:120]}" for v in violations for n in v["nodes"]] == []
