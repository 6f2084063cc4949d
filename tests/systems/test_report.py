"""The page of a report in a real browser: headless Chromium, driven by selenium, on reports of real runs."""
import json
import os
import re
import shutil
import sys

import pytest
from support import place_program, run

webdriver = pytest.importorskip("selenium.webdriver", reason="not installed: selenium")
for program in ("chromium", "chromedriver"):
    if not shutil.which(program):
        pytest.skip("not installed: chromium", allow_module_level=True)

FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", "--hide-scrollbars")
HOSTILE = ("<script>window.hit=1</script>", "</script><script>window.hit=1</script>", "<img src=x onerror=window.hit=1>",
           "\"><svg onload=window.hit=1>", "<!--", "\u2028\u2029", "${window.hit=1}", "__proto__", "constructor")
TASK = "import sys\nwords = dict(word.split('=', 1) for word in sys.argv[1:])\nprint(words)\nprint('loss=%g' % (len(words['model']) / float(words['lr'])))\nsys.exit('it broke' if words['lr'] == '0.1' else 0)\n"


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """Chromium."""
    options = webdriver.ChromeOptions()
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('browser')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
    yield browser
    browser.quit()
def report(folder, values, seeds=2, *argv):
    """Execute a sweep, and return the path of its report."""
    place_program(folder)
    (folder / "task.py").write_text(TASK, encoding="utf-8")
    quoted = ",".join("'" + value.replace("'", "\\'") + "'" for value in values)
    job = {"run": f"{sys.executable} task.py", "hydra": False, "fail-fast": False, "max-parallel": 2,
           "steps": [{"batch": f"model={quoted} lr=0.1,0.01,0.001 seed=1:{seeds}"}]}
    (folder / "hydraflow.yaml").write_text(json.dumps({"jobs": {"job": job}}), encoding="utf-8")
    run("run", "job", "-q", cwd=str(folder), env={"PYTHONIOENCODING": "utf-8"})
    result = run("report", "job", "loss", "-o", "page.html", *argv, cwd=str(folder))
    assert result.status == 0, result
    return folder / "page.html"


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The report of a sweep over three parameters, a third of whose tasks have failed."""
    return report(tmp_path_factory.mktemp("report"), ["cnn", "vitamin"])
def opened(browser, path, width=1200, theme="light", scripts=True):
    """Open a page in a window of some width."""
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": [{"name": "prefers-color-scheme", "value": theme}]})
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False})
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": not scripts})
    browser.get_log("browser")
    browser.get(path.as_uri())
    if scripts:
        browser.execute_async_script("const done = arguments[0]; requestAnimationFrame(() => requestAnimationFrame(() => done()))")
    return browser


def said(browser):
    """Return what the console said of mistakes."""
    return [entry["message"] for entry in browser.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]


def text_of(browser):
    """Return the text that is shown."""
    return browser.find_element("tag name", "body").text


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1200, 400])
def test_what_is_shown(browser, page, width, theme):
    """Counts, causes and parameters, without an error of the console, and no wider than the window."""
    opened(browser, page, width, theme)
    for words in ("8 succeeded", "4 failed", "it broke", "cnn", "lr", "loss"):
        assert words in text_of(browser), words
    assert said(browser) == []
    assert browser.execute_script("return document.documentElement.scrollWidth <= innerWidth + 1")
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_texts_can_be_read(browser, page, theme):
    """Every text has a contrast of 4.5 to what is behind it (WCAG 2.1, 1.4.3)."""
    opened(browser, page, 1200, theme)
    script = """
        const found = [];
        const parse = (text) => (text.match(/[\\d.]+/g) || []).map(Number);
        const light = (rgb) => { const [r, g, b] = rgb.map((v) => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
        for (const one of document.querySelectorAll("p, td, th, button, li, h1, h2, label, code")) {
          if (!one.offsetParent || !one.textContent.trim() || one.children.length || one.disabled) continue;
          let behind = one, back = [0, 0, 0, 0];
          while (behind && (back.length > 3 && back[3] === 0)) { back = parse(getComputedStyle(behind).backgroundColor); behind = behind.parentElement; }
          if (back.length > 3 && back[3] < 1) continue;
          const a = light(parse(getComputedStyle(one).color).slice(0, 3)), b = light(back.slice(0, 3));
          const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
          if (contrast < 4.5) found.push([one.tagName, one.textContent.slice(0, 30), contrast]);
        }
        return found;"""
    assert browser.execute_script(script) == []


def test_the_keyboard_reaches_what_a_mouse_does(browser, page):
    """Every control gets the focus by the tabulator and has a name, and Enter does what a click does."""
    opened(browser, page)
    total = browser.execute_script("return [...document.querySelectorAll('button, select, input')].filter((one) => one.offsetParent).length")
    seen = set()
    for _ in range(min(total + 20, 150)):
        browser.switch_to.active_element.send_keys(webdriver.Keys.TAB)
        seen.add(browser.execute_script("return document.activeElement.tagName"))
    assert "BUTTON" in seen and "SELECT" in seen
    assert browser.execute_script("return [...document.querySelectorAll('button, select, input')].every((one) => one.textContent || one.getAttribute('aria-label') || one.labels.length)")


def test_a_table_is_sorted_by_a_click(browser, page):
    """On the head of a column: another order of its rows."""
    opened(browser, page)
    rows = "return [...document.querySelectorAll('table')].map((one) => one.innerText).join('\\n')"
    before = browser.execute_script(rows)
    heads = [one for one in browser.find_elements("css selector", "th button") if one.text.startswith("loss") and one.is_displayed()]
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", heads[0])
    heads[0].click()
    assert browser.execute_script(rows) != before and said(browser) == []


def test_hostile_values_stay_text(browser, tmp_path):
    """Whatever stands in a value, an output or a cause."""
    path = report(tmp_path, HOSTILE, 1)
    opened(browser, path)
    assert HOSTILE[0] in text_of(browser)
    for index in range(40):
        browser.execute_script("const one = document.querySelectorAll('button')[arguments[0]]; if (one && one.offsetParent) one.click()", index)
    assert browser.execute_script("return window.hit") is None and browser.execute_script("return document.images.length") == 0
    assert said(browser) == []
    assert not browser.find_elements("css selector", "img")


def test_nothing_may_be_fetched(browser, page):
    """The page's own policy refuses it."""
    opened(browser, page)
    browser.set_script_timeout(20)
    assert browser.execute_async_script("const done = arguments[0]; fetch(location.href).then(() => done('fetched'), () => done('refused'))") == "refused"
    assert not re.search("https?://", page.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", ""))


def test_many_tasks(browser, tmp_path):
    """The page of hundreds of them stays small, and says nothing to the console."""
    path = report(tmp_path, ["cnn", "vit"], 60)
    assert os.path.getsize(str(path)) < 2000000
    opened(browser, path)
    assert "240 succeeded" in text_of(browser) and said(browser) == []
