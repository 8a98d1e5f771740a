"""The frame of every page: one file, style and script inside, a policy that forbids it every request."""

from __future__ import annotations

import base64
import hashlib
from importlib import resources

from tilewire.report.markup import Markup, tag


def asset(name: str) -> str:
    """A style sheet or script of the package."""
    return (resources.files("tilewire.report") / name).read_text(encoding="utf-8")


def document(title: str, *sections: object, script: str = "") -> str:
    """A whole page as HTML text; tips work on every page, ``script`` is what the page has beyond."""
    script = asset("tip.js") + script
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    head = tag(
        "head", tag("meta", charset="utf-8"), tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"), tag("title", title),
        tag("style", Markup(asset("drawing.css") + asset("page.css"))),
    )  # fmt: skip
    body = tag("body", tag("main", *sections), tag("div", id="tip", role="tooltip"), tag("script", Markup(script)))
    return f"<!doctype html>\n{tag('html', head, body, lang='en')}\n"
