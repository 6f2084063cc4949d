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
              "log": f"logs/{task}", "tail": ()}
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
                        cause="ValueError: it broke" if is_bad else "", host=f"n{index % 2}", tail=("first", "the last line")))
    rows.append(row(13, {"model": "vit", "lr": "0.1", "seed": "3"}, "running", 70.0, None))
    return rows


class Page:
    """A browser's window with a report in it."""

    def __init__(self, browser, folder):
        self.browser, self.folder = browser, folder

    def open(self, rows, metrics=("loss",), width=1200, theme="light", title="train", scripts=True):
        """Write the report of rows, and open it."""
        path = self.folder / "report.html"
        path.write_text("".join(hydraflow.report_page(title, "how it went", rows, metrics, "hydraflow report")), encoding="utf-8")
        self.emulate(width, theme)
        self.browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": not scripts})
        self.browser.get_log("browser")
        self.browser.get(path.as_uri())
        if scripts:
            self.wait_for_frames()
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
        return self.texts("#tasks tbody tr td:first-child")

    def wait_for_frames(self):
        """Wait until the page has been painted twice: what is in sight, and a new theme, it hears with a frame."""
        self.browser.execute_async_script("const done = arguments[0]; requestAnimationFrame(() => requestAnimationFrame(() => done()))")

    def draw(self):
        """Draw what is not in sight, too."""
        self.js("drawAll(true)")

    def colours(self, selector):
        """Return the colours of a canvas, each with the number of its pixels."""
        return self.js("""
            const canvas = document.querySelector(arguments[0]);
            const {data} = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
            const counts = {};
            for (let at = 0; at < data.length; at += 4) {
              const colour = data.slice(at, at + 3).join();
              counts[colour] = (counts[colour] || 0) + 1;
            }
            return counts;""", selector)

    def themed(self, name):
        """Return a colour of the page as the three numbers of a pixel."""
        text = self.js("return getComputedStyle(document.documentElement).getPropertyValue('--' + arguments[0])", name).strip("# ")
        text = "".join(digit * 2 for digit in text) if len(text) == 3 else text
        return ",".join(str(int(text[place:place + 2], 16)) for place in (0, 2, 4))

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
def test_every_view_is_there(page, theme, width):
    page.open(sweep(), width=width, theme=theme)
    page.draw()
    assert page.errors() == []
    shown = [one.get_attribute("id") for one in page.all("main > section") if one.is_displayed()]
    assert shown == ["causes", "timeline", "grid", "effects", "parallel", "tasks"]
    assert page.js("return document.documentElement.scrollWidth") <= width, "the page itself never scrolls sideways"
    for canvas in ("#timeline canvas", "#effects canvas", "#parallel canvas"):
        colours = page.colours(canvas)
        assert max(colours, key=colours.get) in (page.themed("page"), page.themed("soft"), page.themed("succeeded"))
        assert len(colours) > 3, f"{canvas} is not drawn"
    assert page.js("return performance.getEntriesByType('resource').length") == 0
    assert not page.all("#plain")[0].is_displayed()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_colours_can_be_read(page, theme):
    page.open(sweep(), theme=theme)
    for ink in ("ink", "faint", "link"):
        for paper in ("page", "soft"):
            assert contrast(page.themed(ink), page.themed(paper)) >= 4.5, (ink, paper)
    for state in ("succeeded", "failed", "interrupted", "running"):
        assert contrast(page.themed(state), page.themed("page")) >= 3, state
    scale = page.js("return Array.from({length: 101}, (_, part) => mixed(part / 100).slice(4, -1))")
    lights = [luminance(colour) for colour in scale]
    assert lights == sorted(lights) and lights[-1] > 7 * lights[0], "it grows lighter all the way"
    assert min(contrast(colour, page.themed("page")) for colour in scale) > 1.6, "it is not lost on the page"
    for cell in page.all("#grid td button"):
        ink, paper = (page.js("return getComputedStyle(arguments[0])[arguments[1]]", cell, name).strip("rgb()").replace(" ", "")
                      for name in ("color", "backgroundColor"))
        assert contrast(ink, paper) >= 4.5, cell.text


def test_the_theme_can_change_while_one_looks(page):
    page.open(sweep())
    light = page.themed("page")
    assert light in page.colours("#timeline canvas")
    page.emulate(1200, "dark")
    page.wait_for_frames()
    assert page.js("return matchMedia('(prefers-color-scheme: dark)').matches")
    dark = page.themed("page")
    assert dark != light
    assert dark in page.colours("#timeline canvas") and light not in page.colours("#timeline canvas")


def test_failures_come_first_and_a_click_sorts(page):
    page.open(sweep())
    assert page.tasks() == ["6", "12", "13", "1", "2", "3", "4", "5", "7", "8", "9", "10", "11"]
    for clicks, order, tasks in ((1, "ascending", ["11", "10", "9", "8", "7", "5", "4", "3", "2", "1", "6", "12", "13"]),
                                 (2, "descending", ["1", "2", "3", "4", "5", "7", "8", "9", "10", "11", "6", "12", "13"])):
        page.click("#tasks th button", "loss")
        sorted_by = [one.get_attribute("aria-sort") for one in page.all("#tasks th")]
        assert (clicks, sorted_by.count("none"), [one for one in sorted_by if one != "none"]) == (clicks, len(sorted_by) - 1, [order])
        assert page.tasks() == tasks, "what has no number comes last, either way"
    page.click("#tasks th button", "lr")
    assert page.texts("#tasks tbody tr td:nth-child(4)") == ["1e-3"] * 4 + ["0.01"] * 4 + ["0.1"] * 5


def test_a_click_on_a_value_filters(page):
    page.open(sweep())
    page.click("#tasks tbody td:nth-child(3) button", "vit")
    assert sorted(map(int, page.tasks())) == [7, 8, 9, 10, 11, 12, 13]
    assert "7 of 13" in page.texts("#filters")[0]
    page.click("#counts button", "\u2717 2 failed")
    assert page.tasks() == ["12"]
    assert page.all("#counts button")[0].get_attribute("aria-pressed") == "true"
    page.click("#filters button", "model=vit")
    assert page.tasks() == ["6", "12"]
    page.click("#causes button", "2 \u00d7 ValueError: it broke")
    page.click("#counts button")
    assert page.tasks() == ["6", "12"]
    page.click("#causes button", "2 \u00d7")
    assert len(page.tasks()) == 13
    assert page.texts("#filters") == [""]
    assert page.errors() == []


def test_the_grid(page):
    page.open(sweep())
    assert page.texts("#grid thead th") == ["seed \\ lr", "1e-3", "0.01", "0.1"]
    for side, name in (("down", "model"), ("across", "seed")):
        page.js("const s = document.getElementById(arguments[0]);"
                "s.value = Array.from(s.options).find((one) => one.text === arguments[1]).value;"
                "s.dispatchEvent(new Event('change'))", side, name)
    assert page.texts("#grid thead th") == ["model \\ seed", "1", "2", "3"]
    means = [sum(1 / task for task in tasks) / len(tasks) for tasks in ((1, 3, 5), (2, 4), (7, 9, 11), (8, 10))]
    first, second, third, fourth, fifth = page.texts("#grid td button")
    assert [float(text.split()[0]) for text in (first, second, third, fourth)] == [float(f"{mean:.4g}") for mean in means]
    assert second.endswith(" \u27171") and first.count("\u2717") == 0 and fifth == "\u2013"
    assert len(page.all("#grid td.empty")) == 1
    page.click("#grid td button", second)
    assert sorted(map(int, page.tasks())) == [2, 4, 6]
    page.js("const s = document.getElementById('measure'); s.value = s.options.length - 1; s.dispatchEvent(new Event('change'))")
    assert page.texts("#grid td button") == ["\u2717 2/3"]


def test_many_values_are_gathered_in_ranges(page):
    dice = random.Random(4)
    page.open([row(number, {"lr": f"{10 ** dice.uniform(-5, 0):.6g}", "name": f"n{number}", "m": "ab"[number % 2]}, loss=1.0) for number in range(99)])
    across = page.js("return chosen.across.name")
    assert across == "lr"
    assert len(page.texts("#grid thead th")) == 13
    assert sum(page.js("return Array.from(document.querySelectorAll('#grid td button'), (one) => "
                       "Number(one.title.match(/\\((\\d+) of/)[1]))")) == 99


def test_the_timeline_by_hosts(page):
    rows = [row(1, {"a": "1"}, "succeeded", 0, 50, host="node1"), row(2, {"a": "2"}, "failed", 0, 40, host="node1"),
            row(3, {"a": "3"}, "succeeded", 41, 100, host="node1"), row(4, {"a": "4"}, "succeeded", 0, 100, host="node2"),
            row(5, {"a": "5"}, "queued", None, None, host="")]
    rows += [row(6, {"a": "6", "b": str(run)}, "succeeded", 50, 60, host="node3", run=run) for run in range(3)]
    page.open(rows)
    lanes = page.js("return timeline.lanes.map((lane) => [lane.host, lane.rows.map((row) => data.names[row])])")
    assert lanes == [["node1", ["2", "3"]], ["node1", ["1"]], ["node2", ["4"]], ["node3", ["6.0"]]]
    colours = page.colours("#timeline canvas")
    for state in ("failed", "succeeded"):
        assert colours[page.themed(state)] > 500, state
    box = page.js("const b = document.querySelector('#timeline canvas').getBoundingClientRect(); return [b.width, b.height]")
    canvas = page.all("#timeline canvas")[0]
    page.js("arguments[0].scrollIntoView({block: 'center'})", canvas)
    actions = webdriver.ActionChains(page.browser)
    actions.move_to_element_with_offset(canvas, 20, int(12 - box[1] / 2)).perform()  # from the middle
    assert page.texts("#tip")[0].startswith("task 3: succeeded\na=3")
    actions.click().perform()
    assert page.texts("#details h2") == ["Task 3"]
    assert page.errors() == []


def test_the_keyboard_reaches_everything(page):
    page.open(sweep())
    keys = webdriver.Keys
    seen = set()
    for _ in range(60):
        page.browser.switch_to.active_element.send_keys(keys.TAB)
        seen.add(page.js("""const one = document.activeElement, section = one.closest("section, header, #bar");
                            return (section ? section.id || section.tagName : "") + " " + one.tagName"""))
    assert {"HEADER BUTTON", "bar SELECT", "causes BUTTON", "timeline CANVAS", "grid SELECT", "grid BUTTON", "tasks BUTTON"} <= seen
    canvas = page.all("#timeline canvas")[0]
    canvas.send_keys(keys.ARROW_RIGHT)
    canvas.send_keys(keys.ARROW_RIGHT)
    assert page.texts("#details h2") == ["Task 2"]
    canvas.send_keys(keys.ESCAPE)
    assert not page.all("#details")[0].is_displayed()
    button = next(one for one in page.all("#tasks td:first-child button") if one.text == "6")
    button.send_keys(keys.ENTER)
    details = page.texts("#details")[0]
    for said in ("Task 6", "\u2717 failed", "0.1", "ValueError: it broke", "logs/6", "first\nthe last line"):
        assert said in details
    assert page.js("return document.activeElement.textContent") == "6", "the focus stays where it was"
    assert page.js("return Array.from(document.querySelectorAll('button, select, canvas')).every((one) => "
                   "one.textContent || one.getAttribute('aria-label'))")


@pytest.mark.parametrize("scripts", [True, False])
def test_hostile_values_stay_text(page, scripts):
    rows = [row(number, {"p": text, text: str(number), "q": text}, ("failed", text)[number % 2], number, number + 1, 1.0, cause=text,
                host=text, log=text, tail=(text, text), metrics={text: float(number)}) for number, text in enumerate(HOSTILE)]
    page.open(rows, (*HOSTILE, "loss"), title=HOSTILE[1], scripts=scripts)
    if scripts:
        page.draw()
        for number in range(len(rows)):
            page.js("choose(arguments[0])", number)
        page.js("filterBy(columns.find((one) => one.name === 'p'), 0)")
        assert page.js("return window.hit") is None
        assert page.js("return [document.scripts.length, document.images.length, document.querySelectorAll('svg').length]") == [2, 0, 0]
        assert HOSTILE[0] in "".join(page.texts("#counts"))
        assert page.errors() == []
    assert page.browser.find_element("tag name", "h1").text == HOSTILE[1]
    assert len(page.all("script")) == 2 and not page.all("img, svg")


def test_nothing_may_be_fetched(page):
    page.open(sweep())
    page.browser.set_script_timeout(20)
    ended = page.browser.execute_async_script(
        "const done = arguments[0]; fetch(location.href).then(() => done('fetched'), () => done('refused'))")
    assert ended == "refused"
    assert any("Content Security Policy" in message for message in page.errors())


def test_without_scripts(page):
    page.open(sweep(), scripts=False)
    assert page.all("#plain")[0].is_displayed() and not page.all("#live")[0].is_displayed()
    cells = [one.text for one in page.all("#plain tbody tr:first-child td")]
    assert cells[:5] == ["6", "cnn", "0.1", "2", "\u2717 failed"] and cells[-1] == "ValueError: it broke"
    assert page.browser.find_element("id", "lead").text == "how it went"


def test_on_paper(page):
    page.open(sweep(), theme="dark")
    page.js("dispatchEvent(new Event('beforeprint'))")
    page.emulate(800, "dark", "print")
    assert page.themed("page") == "255,255,255" and "255,255,255" in page.colours("#timeline canvas")
    assert page.all("#plain")[0].is_displayed() and not page.all("#tasks")[0].is_displayed()
    page.js("dispatchEvent(new Event('afterprint'))")
    page.emulate(1200, "dark")
    assert page.themed("page") != "255,255,255"
    assert len(page.browser.print_page()) > 10000


def test_few_tasks_and_none(page):
    for rows, metrics, shown in (([], ["loss"], []), (sweep()[:1], ["loss"], ["timeline", "tasks"]),
                                 (sweep()[:2], [], ["timeline", "grid", "effects", "tasks"]),
                                 ([row(1, {}, "waiting", None, None)], [], ["tasks"])):
        page.open(rows, metrics)
        assert page.errors() == []
        assert [one.get_attribute("id") for one in page.all("main > section") if one.is_displayed()] == shown


def test_numbers_that_are_none(page):
    values = [math.nan, math.inf, -math.inf, None, 0.5, 2.0]
    page.open([row(index, {"a": str(index), "b": str(index % 2), "c": str(index % 3)}, loss=value) for index, value in enumerate(values)])
    page.draw()
    assert page.errors() == []
    assert page.texts("#legend") == ["0.52"]
    page.click("#tasks th button", "loss")
    assert page.texts("#tasks td.number:nth-child(6)") == ["-inf", "0.5", "2", "inf", "nan", ""]


def test_twenty_thousand_tasks(page):
    dice = random.Random(2)
    rows = []
    for number in range(1, 20001):
        begin = 3.0 * (number // 200) + dice.random()
        rows.append(row(number, {"lr": f"{10 ** dice.uniform(-5, 0):.6g}", "layers": str(dice.choice((2, 4, 8))), "seed": str(number)},
                        dice.choice(("succeeded",) * 30 + ("failed",)), begin, begin + 2.0, dice.random(), host=f"node{number % 40}",
                        tail=[f"epoch {epoch} of task {number}: loss={dice.random()}" for epoch in range(10)]))
    path = page.open(rows)
    assert os.path.getsize(str(path)) < 10000000
    assert page.js("return document.querySelectorAll('tr').length") < 500, "only the rows in sight exist"
    scroller = page.all(".scroller")[0]
    page.js("arguments[0].scrollTop = arguments[0].scrollHeight", scroller)
    page.js("drawRows(false)")
    assert page.tasks()[-1] == str(max(one.task for one in rows if one.state == "succeeded"))
    page.draw()
    assert page.errors() == []
