"""The page of a report in a real browser: headless Chromium, driven by selenium."""
import itertools
import math
import os
import random
import shutil

import pytest

import hydraflow

webdriver = pytest.importorskip("selenium.webdriver", reason="not installed: selenium")
for program in ("chromium", "chromedriver"):
    if not shutil.which(program):
        pytest.skip("not installed: chromium", allow_module_level=True)

FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", "--hide-scrollbars")
HOSTILE = ("<script>window.hit=1</script>", "</script><script>window.hit=1</script>", "<img src=x onerror='window.hit=1'>",
           "\"'><svg onload=window.hit=1>", "<!--", "\u2028\u2029", "\udc80", "${window.hit=1}", "__proto__", "constructor", "a\nb")


def row(task, params, state="succeeded", started=0.0, ended=10.0, loss=None, **fields):
    """Return a row; the first task begins in November 2025."""
    values = {"run": None, "status": {"succeeded": 0, "failed": 1}.get(state), "cause": "", "attempts": 1, "host": "n1",
              "log": f"logs/{task}"}
    values.update(fields)
    begun = None if started is None else 1764100000.0 + started
    return hydraflow.Row(task=task, params=params, state=state, started=begun, metrics={"loss": loss, **values.pop("metrics", {})},
                         ended=None if ended is None else 1764100000.0 + ended, **values)


def sweep(states=("succeeded",) * 5 + ("failed",)):
    """Return the rows of a sweep over three parameters, every sixth of which has failed, and one of which runs."""
    rows = []
    for index, (model, lr, seed) in enumerate(itertools.product(("cnn", "vit"), ("1e-3", "0.01", "0.1"), ("1", "2"))):
        state, begin = states[index % len(states)], 12.0 * (index // 2)
        is_bad = state == "failed"
        rows.append(row(index + 1, {"model": model, "lr": lr, "seed": seed}, state, begin, begin + 10.0, None if is_bad else 1.0 / (index + 1),
                        cause="ValueError: it broke" if is_bad else "", host=f"n{index % 2}"))
    rows.append(row(13, {"model": "vit", "lr": "0.1", "seed": "3"}, "running", 70.0, None))
    return rows


class Page:
    """A browser's window with a report in it."""

    def __init__(self, browser, folder):
        self.browser, self.folder = browser, folder

    def open(self, rows, metrics=("loss",), width=1200, theme="light", title="train", scripts=True):
        """Write the report of rows, and open it."""
        path = self.folder / "report.html"
        counts = {name: sum(one.state == name for one in rows) for name in hydraflow.STATES}
        path.write_text(hydraflow.report_page(title, "how it went", counts, rows, metrics, "hydraflow report"), encoding="utf-8")
        self.emulate(width, theme)
        self.browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": not scripts})
        self.browser.get_log("browser")
        self.browser.get(path.as_uri())
        return path

    def emulate(self, width, theme, media=""):
        """Give the window a width, and the reader a theme."""
        self.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {
            "media": media, "features": [{"name": "prefers-color-scheme", "value": theme}]})
        self.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
            "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False})

    def js(self, text, *arguments):
        """Return what a script returns."""
        return self.browser.execute_script(text, *arguments)

    def all(self, selector):
        """Return the elements that a selector means."""
        return self.browser.find_elements("css selector", selector)

    def texts(self, selector):
        """Return the texts of the elements that a selector means."""
        return self.js("return Array.from(document.querySelectorAll(arguments[0]), (one) => one.textContent)", selector)

    def click(self, selector, text=""):
        """Click on the first element that a selector means and whose text begins so."""
        found = [one for one in self.all(selector) if one.text.startswith(text)]
        assert found, (selector, text, self.texts(selector))
        self.js("arguments[0].scrollIntoView({block: 'center'})", found[0])
        found[0].click()

    def tasks(self):
        """Return the numbers of the tasks that the table shows."""
        return self.texts("#body tr td:first-child")

    def set(self, name, text):
        """Choose an entry of a list, or type into a field."""
        self.js("const one = document.getElementById(arguments[0]), found = Array.from(one.options ?? []).find((each) => each.text === arguments[1]);"
                "one.value = found ? found.value : arguments[1]; one.dispatchEvent(new Event(found ? 'change' : 'input'))", name, text)

    def errors(self):
        """Return what the console said."""
        return [entry["message"] for entry in self.browser.get_log("browser")]


@pytest.fixture(scope="module")
def browser():
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for flag in FLAGS:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
    yield driver
    driver.quit()


@pytest.fixture
def page(browser, tmp_path):
    return Page(browser, tmp_path)


def luminance(colour):
    """Return the relative luminance of a colour (WCAG 2.2)."""
    parts = [int(part) / 255 for part in colour.split(",")]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    """Return the contrast of two colours (WCAG 2.2): 4.5 is enough for text, 3 for shapes."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1600])
def test_every_section_is_drawn(page, theme, width):
    page.open(sweep(), width=width, theme=theme)
    assert page.errors() == []
    shown = [one.text for one in page.all("h2") if one.is_displayed()]
    assert shown == ["Best combination", "Failures", "Two parameters", "Effect of each parameter", "Timeline", "Tasks"]
    assert page.js("return document.documentElement.scrollWidth") <= width, "the page itself never scrolls sideways"
    assert page.js("return document.querySelectorAll('#timeline path').length") == 3, "one for each state"
    assert len(page.all("#panels circle")) == 3 * 10
    assert page.js("return performance.getEntriesByType('resource').length") == 0


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_colours_can_be_read(page, theme):
    page.open(sweep(), theme=theme)
    colour = "return getComputedStyle(arguments[0])[arguments[1]].match(/[0-9.]+/g).slice(0, 3).join()"
    paper = page.js(colour, page.all("body")[0], "backgroundColor")
    assert (luminance(paper) < 0.1) == (theme == "dark")
    for selector, enough in (("body", 4.5), ("#about", 4.5), ("#body td:nth-child(2)", 3)):
        assert contrast(page.js(colour, page.all(selector)[0], "color"), paper) >= enough, selector
    cells = [one for one in page.all("#cells button") if one.get_attribute("style")]
    assert len(cells) == 6
    for cell in cells:
        assert contrast(page.js(colour, cell, "color"), page.js(colour, cell, "backgroundColor")) >= 4, cell.text


def test_the_best_combination(page):
    page.open(sweep())
    assert page.texts("#best p") == ["lowest loss"]
    best = page.texts("#best li")
    assert len(best) == 4 and "model=vit lr=0.01" in best[0] and "2 of 2 tasks" in best[0], "averaged over the seeds"
    assert float(best[0].split()[0]) == float(f"{(1 / 9 + 1 / 10) / 2:.4g}")
    page.set("best-is", "highest")
    assert "model=cnn lr=1e-3" in page.texts("#best li")[0]
    page.set("seed", "nothing")
    assert "model=cnn lr=1e-3 seed=1" in page.texts("#best li")[0]
    page.set("measure", "duration")
    assert page.texts("#best p") == ["lowest duration (s)"]
    page.open([row(number, {"lr": f"1e-{number}"}, loss=0.1 * number) for number in (1, 2, 3)], ["val_acc"])
    assert page.texts("#best p") == ["no val_acc yet"]


def test_the_table_is_sorted_by_the_measure_and_a_click_sorts_it(page):
    page.open(sweep())
    order = ["11", "10", "9", "8", "7", "5", "4", "3", "2", "1"]
    assert page.tasks() == [*order, "6", "12", "13"]
    page.click("#head button", "loss")
    assert page.tasks() == [*order[::-1], "6", "12", "13"], "a row without a number comes last, either way"
    page.click("#head button", "lr")
    assert page.texts("#body tr td:nth-child(4)") == ["1e-3"] * 4 + ["0.01"] * 4 + ["0.1"] * 5


def test_filters(page):
    page.open(sweep())
    page.click("#body td:nth-child(3)", "vit")
    assert sorted(map(int, page.tasks())) == [7, 8, 9, 10, 11, 12, 13]
    assert "7 of 13" in page.texts("#filters")[0]
    page.click("#causes button", "1 \u00d7 ValueError: it broke")
    assert page.tasks() == ["12"]
    page.click("#filters button", "model=vit")
    assert page.tasks() == ["6", "12"]
    page.click("#filters button")
    for text, tasks in (("lr=0.1 model=cnn", {"5", "6"}), ("broke", {"6", "12"}), ("seed=3", {"13"}), ("", None)):
        page.set("search", text)
        assert tasks is None and len(page.tasks()) == 13 or set(page.tasks()) == tasks, text
    assert page.texts("#filters") == [""]
    assert page.errors() == []


def test_the_grid(page):
    page.open(sweep())
    assert page.texts("#cells tr:first-child th") == ["model \\ lr", "1e-3", "0.01", "0.1"], "the two of the largest effect"
    page.set("down", "model")
    page.set("across", "seed")
    means = [sum(1 / task for task in tasks) / len(tasks) for tasks in ((1, 3, 5), (2, 4), (7, 9, 11), (8, 10))]
    first, second, third, fourth, fifth = page.texts("#cells button")
    assert [float(text.split()[0]) for text in (first, second, third, fourth)] == [float(f"{mean:.4g}") for mean in means]
    assert second.endswith(" \u27171") and "\u2717" not in first and fifth == "\u2013"
    page.click("#cells button", second)
    assert sorted(map(int, page.tasks())) == [2, 4, 6]


def test_many_values_are_gathered_in_ranges(page):
    dice = random.Random(4)
    page.open([row(number, {"lr": f"{10 ** dice.uniform(-5, 0):.6g}", "name": f"n{number}", "m": "ab"[number % 2]}, loss=dice.random()) for number in range(99)])
    assert max(len(page.texts("#cells tr:first-child th")), len(page.texts("#cells tr"))) <= 13
    assert "log axis" in "".join(page.texts("#panels h3"))
    assert sum(page.js("return Array.from(document.querySelectorAll('#cells button'), (one) => Number(one.title.match(/(\\d+) tasks/)[1]))")) == 99


def test_the_timeline_by_hosts(page):
    rows = [row(1, {"a": "1"}, "succeeded", 0, 50, host="node1"), row(2, {"a": "2"}, "failed", 0, 40, host="node1"),
            row(3, {"a": "3"}, "succeeded", 41, 100, host="node1"), row(4, {"a": "4"}, "succeeded", 0, 100, host="node2"),
            row(5, {"a": "5"}, "queued", None, None, host="")]
    page.open(rows)
    lanes = page.js("return lanesOf(shown.filter((row) => row.began !== null)).map((lane) => [lane.host, lane.rows.map((row) => row.name)])")
    assert lanes == [["node1", ["1"]], ["node1", ["2", "3"]], ["node2", ["4"]]]
    svg = page.all("#timeline svg")[0]
    page.js("arguments[0].scrollIntoView({block: 'center'})", svg)
    webdriver.ActionChains(page.browser).move_to_element_with_offset(svg, 100, int(24 - svg.size["height"] / 2)).perform()
    assert page.texts("#timeline title")[0].startswith("task 3: succeeded\na=3")
    webdriver.ActionChains(page.browser).click().perform()
    assert page.tasks() == ["3"]
    assert page.errors() == []


def test_the_keyboard_reaches_everything(page):
    page.open(sweep())
    seen = set()
    for _ in range(60):
        page.browser.switch_to.active_element.send_keys(webdriver.Keys.TAB)
        seen.add(page.js("const one = document.activeElement; return (one.closest('[id]') || one).id"))
    assert {"measure", "best-is", "seed", "search", "best", "causes", "down", "across", "cells", "head"} <= seen


@pytest.mark.parametrize("scripts", [True, False])
def test_hostile_values_stay_text(page, scripts):
    rows = [row(number, {"p": text, text: str(number), "q": text}, ("failed", "succeeded")[number % 2], number, number + 1, 1.0, cause=text,
                host=text, log=text, metrics={text: float(number)}) for number, text in enumerate(HOSTILE)]
    page.open(rows, (*HOSTILE, "loss"), title=HOSTILE[1], scripts=scripts)
    if scripts:
        assert len(page.tasks()) == len(HOSTILE)
        assert page.js("return window.hit") is None
        assert page.js("return [document.scripts.length, document.images.length]") == [2, 0]
        assert HOSTILE[0] in "".join(page.texts("#causes"))
        assert page.errors() == []
    assert page.browser.find_element("tag name", "h1").text == HOSTILE[1]
    assert len(page.all("script")) == 2 and not page.all("img")


def test_nothing_may_be_fetched(page):
    page.open(sweep())
    page.browser.set_script_timeout(20)
    ended = page.browser.execute_async_script(
        "const done = arguments[0]; fetch(location.href).then(() => done('fetched'), () => done('refused'))")
    assert ended == "refused"
    assert any("Content Security Policy" in message for message in page.errors())


def test_few_tasks_and_none(page):
    for rows, metrics, shown in (([], ["loss"], []), (sweep()[:1], ["loss"], ["Best combination", "Timeline", "Tasks"]),
                                 (sweep()[:2], [], ["Best combination", "Effect of each parameter", "Timeline", "Tasks"]),
                                 ([row(1, {}, "waiting", None, None)], [], ["Best combination", "Tasks"])):
        page.open(rows, metrics)
        assert page.errors() == []
        assert [one.text for one in page.all("h2") if one.is_displayed()] == shown


def test_numbers_that_are_none(page):
    values = [math.nan, math.inf, -math.inf, None, 0.5, 2.0]
    page.open([row(index, {"a": str(index), "b": str(index % 2), "c": str(index % 3)}, loss=value) for index, value in enumerate(values)])
    assert page.errors() == []
    assert (page.texts("#low"), page.texts("#high")) == (["0.5"], ["2"])
    assert page.texts("#body td.number:nth-child(6)") == ["0.5", "2", "nan", "inf", "-inf", ""]


def test_twenty_thousand_tasks(page):
    dice = random.Random(2)
    rows = []
    for number in range(1, 20001):
        begin = 3.0 * (number // 200) + dice.random()
        rows.append(row(number, {"lr": f"{10 ** dice.uniform(-5, 0):.6g}", "layers": str(dice.choice((2, 4, 8))), "seed": str(number)},
                        dice.choice(("succeeded",) * 30 + ("failed",)), begin, begin + 2.0, dice.random(), host=f"node{number % 40}"))
    path = page.open(rows)
    assert os.path.getsize(str(path)) < 4000000
    assert len(page.tasks()) == 200
    page.click("#more")
    assert len(page.tasks()) == 1200
    assert page.errors() == []
