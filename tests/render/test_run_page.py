"""The page of a run: what is in it, and what a real browser makes of it."""

import html
import html.parser
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from runs import Ran, put, run

NOTEBOOK = """
# %% tags=imports
import warnings
# %% tags=pipeline-parameters
title = "</td><script>document.title='broken'</script>"
sizes = [1, 2]
# %% tags=step:load
class Table:
    def _repr_html_(self):
        return "<style>td{color:red}</style><table><tr><td>cell</td></tr></table>" * 30
rows = [1.5, 2]
print("</iframe></details><script>document.title='broken'</script>", "\\x1b[31mred\\x1b[0m")
Table()
# %% tags=step:draw,prev:load
import matplotlib.pyplot as plt
plt.plot(rows)
plt.title("A line")
# %% tags=step:wide,prev:load
print("x" * 3000)
class Outside:
    def _repr_html_(self):
        return "<img src='http://127.0.0.1:9/pixel.png'><script src='http://127.0.0.1:9/a.js'></script>"
Outside()
# %% tags=step:fail,prev:draw,prev:wide
total = sum(rows)
raise ValueError("<b>no</b>")
# %% tags=step:never,prev:fail
print(total)
"""


@pytest.fixture(scope="module")
def failed(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """A run of which one step fails."""
    folder = tmp_path_factory.mktemp("page")
    path = put(folder, NOTEBOOK, description="d", pipeline_description="What it <is>")
    return run(folder, path.name, "--report", "shown.html")


class Outline(html.parser.HTMLParser):
    """The elements of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        self.found.append((tag, dict(attrs)))
        if tag not in {"meta", "rect", "path", "br", "img"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Elements close in their order."""
        if tag not in {"meta", "rect", "path", "br", "img"}:
            assert self.open.pop() == tag


def test_the_page(failed: Ran) -> None:
    """Everything is in it, nothing of the user's is markup, nothing comes from outside."""
    assert failed.code == 1
    text = (failed.folder / "report.html").read_text("utf-8")
    assert text == (failed.folder.parent / "shown.html").read_text("utf-8")
    page = Outline(text)
    assert page.open == []
    tags = [tag for tag, _ in page.found]
    frames = [given for tag, given in page.found if tag == "iframe"]
    assert [one["sandbox"] for one in frames] == ["allow-scripts"] * 4
    assert tags.count("script") == 1
    assert "img" not in tags
    addresses = [
        value for _, given in page.found for key, value in given.items() if key in {"src", "href"}
    ]
    assert all(value and value.startswith("#") for value in addresses)
    assert "What it &lt;is&gt;" in text
    assert "ValueError: &lt;b&gt;no&lt;/b&gt;" in text
    assert text.index("nb.ipynb, cell 5, line 2") < text.index("<h2>Pipeline</h2>")
    assert "\x1b" not in text
    classes = {
        given["id"]: given["class"]
        for tag, given in page.found
        if tag == "details" and "id" in given
    }
    assert classes == {
        f"step-{name}": f"step step-{state}" for name, state in failed.states.items()
    }
    assert failed.states["fail"] == "failed"
    assert failed.states["never"] == "waiting"
    boxes = [str(given["class"]) for tag, given in page.found if tag == "rect" and "rx" in given]
    assert sorted(boxes) == ["step done"] * 3 + ["step failed", "step waiting"]


@pytest.mark.slow
def test_a_page_of_many_steps(tmp_path: Path) -> None:
    """Of many steps only those that failed are unfolded."""
    steps = "".join(
        f"# %% tags=step:s{n}{f',prev:s{n - 1}' if n else ''}\nx{n} = {f'x{n - 1}' if n else 0}\n"
        for n in range(14)
    )
    path = put(tmp_path, steps + "# %% tags=step:last,prev:s13\n1 / x13\n")
    done = run(tmp_path, path.name)
    page = Outline((done.folder / "report.html").read_text("utf-8"))
    opened = [given["id"] for tag, given in page.found if tag == "details" and "open" in given]
    assert opened == ["step-last"]


PROBE = """<script>
addEventListener('load', () => setTimeout(() => {
  let reached = '';
  try { reached = parent.document.title; } catch { }
  try { top.location = 'http://127.0.0.1:9/' + reached; } catch { }
  parent.postMessage({
    reached,
    heading: getComputedStyle(document.querySelector('h1')).display,
    images: [...document.images].map(i => i.naturalWidth),
  }, '*');
}, 400));
</script>"""

MEASURE = """<script>
const inner = new Map();
const heights = new Map();
addEventListener('message', event => {
  (typeof event.data === 'object' ? inner : heights).set(event.source, event.data);
});
let polls = 0;
const measure = () => {
  // The clock of the test does not wait for messages between frames, so this takes real time.
  for (let n = 0; n < 3e7; n++);
  const frames = [...document.querySelectorAll('iframe')].filter(f => f.offsetParent);
  const fits = f => heights.get(f.contentWindow) <= f.clientHeight;
  const settled = inner.size >= 4 && frames.every(fits);
  if (!settled && polls++ < 1000) return setTimeout(measure, 20);
  const link = document.querySelector('#steps a[href="#step-never"]');
  const never = document.getElementById('step-never');
  const before = never.open;
  link.click();
  setTimeout(() => {
    const told = {
      frames: frames.map(f => [f.clientHeight, heights.get(f.contentWindow)]),
      headings: frames.map(f => inner.get(f.contentWindow).heading),
      reached: frames.map(f => inner.get(f.contentWindow).reached),
      red: getComputedStyle(document.querySelector('#steps td')).color,
      overflow: document.documentElement.scrollWidth - innerWidth,
      opened: [before, never.open],
      title: document.title,
      images: frames.flatMap(f => inner.get(f.contentWindow).images),
      back: getComputedStyle(document.body).backgroundColor,
    };
    document.body.append(Object.assign(document.createElement('pre'),
      {id: 'told', textContent: JSON.stringify(told)}));
  }, 700);
};
addEventListener('load', measure);
</script></body>"""


def browse(page: Path, *words: str, width: int = 1200) -> tuple[str, str]:
    """What Chromium makes of a page: its document after all scripts, and what it complains of.

    All of it is in sight, since browsers leave out of sight frames as they are.
    """
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("there is no chromium: apt-get install chromium")
    done = subprocess.run(
        [
            *(chromium, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic"),
            *("--no-first-run", "--disable-background-networking", "--disable-component-update"),
            *("--disable-sync", f"--user-data-dir={page.parent / 'profile'}"),
            *("--enable-logging=stderr", "--v=0", f"--window-size={width},6000"),
            *("--virtual-time-budget=60000", *words, page.as_uri()),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


def measured(page: Path, *words: str, width: int = 1200) -> tuple[dict[str, Any], str]:
    """What the script above finds in a page."""
    copy = page.with_name("measured.html")
    text = page.read_text("utf-8").replace("</body>", MEASURE)
    probed = text.replace('"></iframe>', f'{html.escape(PROBE)}"></iframe>')
    copy.write_text(probed, "utf-8")
    document, complaints = browse(copy, "--dump-dom", *words, width=width)
    told = re.search(r'<pre id="told">(.*?)</pre>', document)
    assert told is not None, complaints
    found: dict[str, Any] = json.loads(told[1].replace("&amp;", "&"))
    return found, complaints


@pytest.mark.slow
@pytest.mark.parametrize("width", [1200, 420])
def test_in_a_browser(failed: Ran, width: int) -> None:
    """Frames fit what they show, links unfold, styles stay inside, nothing is fetched."""
    found, complaints = measured(failed.folder / "report.html", width=width)
    assert len(found["frames"]) == 4
    assert all(0 < inner <= outer for outer, inner in found["frames"]), found["frames"]
    assert len({outer for outer, _ in found["frames"]}) == 4, "each has the height of its content"
    assert set(found["headings"]) == {"none"}
    assert found["red"] != "rgb(255, 0, 0)"
    assert found["overflow"] <= 0
    assert found["opened"] == [False, True]
    assert found["title"] == "nb: failed"
    assert set(found["reached"]) == {""}, "what a cell shows reads the page"
    assert len(found["images"]) == 2
    assert min(found["images"]) == 0, "the picture from outside was fetched"
    assert max(found["images"]) > 100, "the figure is not shown"
    assert "Uncaught" not in complaints
    refused = [line for line in complaints.splitlines() if "127.0.0.1:9" in line]
    assert all("Content Security Policy" in line for line in refused)
    assert len(refused) >= 2


@pytest.mark.slow
@pytest.mark.parametrize(("scheme", "dark"), [(1, False), (0, True)])
def test_light_and_dark(failed: Ran, tmp_path: Path, scheme: int, dark: bool) -> None:  # noqa: FBT001
    """The page follows the colours of the system, graph and frames included."""
    import matplotlib.pyplot as plt  # noqa: PLC0415  takes a second

    page = tmp_path / "page.html"
    shutil.copy(failed.folder / "report.html", page)
    picture = tmp_path / "page.png"
    browse(page, f"--blink-settings=preferredColorScheme={scheme}", f"--screenshot={picture}")
    pixels = plt.imread(picture)[:, :, :3].mean(axis=2)
    assert (pixels.mean() < 0.3) == dark
    assert (pixels > 0.5).mean() < 0.1 if dark else (pixels > 0.5).mean() > 0.9
