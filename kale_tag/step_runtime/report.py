"""What the cells print and show, as a page of HTML."""

import base64, html, io, os, re, sys, time

KEPT = 100_000  # of a long output the page shows so many bytes from either end
HEAD = """<!doctype html>
<meta charset="utf-8"><title>%s</title>
<style>
:root{color-scheme:light dark}
body{font:15px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto}
h2{font-size:1rem}
pre{padding:.5rem .8rem;white-space:pre-wrap;overflow-wrap:anywhere}
.source{background:#8882}
.error{border-left:3px solid #d33}
body>div{overflow:auto}
img{max-width:100%%}
td,th{padding:.1rem .6rem;text-align:right}
</style>
<h1>%s</h1>
<p>%s</p>
"""


class Page:
    """The parts of the page; `capture` may hold back what is printed and shown."""

    capture, written = None, str

    def __init__(self):
        self.parts, self.printed = [], bytearray()
        for fd, name in ((1, "stdout"), (2, "stderr")):
            stream = Stream(fd, "w", closefd=False)
            stream.page, stream.name = self, name
            stream = io.TextIOWrapper(stream, "utf-8", "backslashreplace", write_through=True)
            setattr(sys, name, stream)

    def add(self, *parts):
        """Add HTML, after what was printed before it."""
        text = re.sub(r"\x1b\[[0-?]*[ -/]*[@-~]", "", self.printed.decode("utf-8", "replace"))
        if text:  # as a terminal shows it: after "\r" a line begins again
            lines = (line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n"))
            self.parts.append(pre("\n".join(lines), "output"))
        self.printed.clear()
        self.parts += parts

    def begin(self, kind, cell, source):
        def end():
            pyplot = sys.modules.get("matplotlib.pyplot")
            for number in pyplot.get_fignums() if pyplot and not self.capture else ():
                figure = rich(pyplot.figure(number))
                self.add(figure or pre(f"cannot draw figure {number}", "error"))
            self.add()
            self.parts[head] = f"<h2>cell {cell} &middot; {time.time() - started:.2f} s</h2>\n"
            if str(getattr(NS.get("display"), "__module__", "")).startswith("IPython."):
                NS["display"] = self.display

        source = pre(self.written(source).rstrip(), "source")
        if kind != "step":
            source = f"<details><summary>{kind}</summary>{source}</details>"
        self.add("", source)
        head, started = len(self.parts) - 2, time.time()
        ENDS.append(end)

    def whole(self, state):
        self.add()
        python = "Python {}.{}".format(*sys.version_info)
        about = html.escape(" \xb7 ".join((SPEC["notebook"], python, state)))
        title = html.escape(SPEC["step"])
        return HEAD % (title, title, about) + "".join(self.parts)

    def display(self, *values, **_):
        """Show values: as text in the log, as rich as they can be in the page."""
        for value in values:
            if self.capture and not self.capture.passes(value, "display"):
                continue
            picture = rich(value)
            if picture:
                os.write(1, (repr(value) + "\n").encode("utf-8", "replace"))
                self.add(picture)
            else:
                print(repr(value))


class Stream(io.FileIO):
    """Standard output or error."""

    def write(self, data):
        data = rest = bytes(data)
        if not self.page.capture or self.page.capture.passes(data, self.name):
            while rest:
                rest = rest[super().write(rest) :]
            self.page.printed += data
            if len(self.page.printed) > 3 * KEPT:
                self.page.printed[KEPT:-KEPT] = b"\n[...]\n"
        return len(data)


def pre(text, kind):
    return f'<pre class="{kind}">{html.escape(text)}</pre>\n'


def rich(value):
    """A value as HTML, nothing if it is but text."""
    for kind in ("html", "svg", "png", "jpeg"):
        try:
            if kind == "png" and type(value).__name__ == "Figure":
                file = io.BytesIO()
                value.savefig(file, format="png", bbox_inches="tight")
                data = file.getvalue()
            else:
                data = getattr(value, f"_repr_{kind}_")()
            if kind in ("png", "jpeg"):
                data = data if isinstance(data, str) else base64.b64encode(data).decode()
                data = f'<img src="data:image/{kind};base64,{data}">'
            if data:
                return "<div>" + data + "</div>\n"
        except Exception:
            continue
    return ""
