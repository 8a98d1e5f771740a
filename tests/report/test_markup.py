"""Whatever is not HTML already is escaped."""

from __future__ import annotations

import html

from hypothesis import given, settings
from hypothesis import strategies as st

from tilewire.report.markup import Markup, join, tag


@settings(deadline=None, max_examples=200)
@given(st.text())
def test_text_and_attributes_come_back_as_they_were(text: str) -> None:
    element = tag("p", text, data_tip=text)
    content = element.removeprefix("<p").removesuffix("</p>")
    attribute, _, inner = content.partition(">")
    assert html.unescape(inner) == html.unescape(html.escape(text))
    assert "<" not in inner
    assert attribute.count('"') == 2


def test_nested_elements_stay_elements() -> None:
    assert tag("p", tag("b", "<"), None, 1, class_="x", hidden=None) == '<p class="x"><b>&lt;</b>1</p>'
    assert join([Markup("<br/>"), "<br/>"]) == "<br/>&lt;br/&gt;"
    assert tag("rect", x=1.0, y=2.3449) == '<rect x="1" y="2.34"/>'
