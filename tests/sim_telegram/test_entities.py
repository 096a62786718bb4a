import html
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.sim.telegram.entities import format_text
from holdfast.sim.telegram.entities.markup import to_html
from holdfast.sim.telegram.entities.spans import Span, to_entities
from holdfast.sim.telegram.errors import ApiError

words = st.text(st.characters(exclude_categories=["Cc", "Cs", "Z"]), min_size=1)


def kinds(source, mode):
    text, entities = format_text(source, mode)
    return text, [(entity["type"], entity["offset"], entity["length"]) for entity in entities]


@pytest.mark.parametrize(
    ("source", "text", "found"),
    [
        ("<b>bold</b> <i>it</i>", "bold it", [("bold", 0, 4), ("italic", 5, 2)]),
        ("😀 <b>x</b>", "😀 x", [("bold", 3, 1)]),
        ("<b><i>both</i></b>", "both", [("bold", 0, 4), ("italic", 0, 4)]),
        ("a &lt;b&gt; &amp; &#128512; &nope;", "a <b> & 😀 &nope;", []),
        ('<pre><code class="language-sql">SELECT 1</code></pre>', "SELECT 1", [("pre", 0, 8)]),
        ("<b>a<code>b</code>c</b>", "abc", [("bold", 0, 1), ("code", 1, 1), ("bold", 2, 1)]),
        ("<blockquote expandable>long</blockquote>", "long", [("expandable_blockquote", 0, 4)]),
        ("  <b> x </b>  ", " x", [("bold", 0, 2)]),
        ('<a href="http://localhost/x">no link</a>', "no link", []),
        ("see https://example.com/a?b=1. ok", "see https://example.com/a?b=1. ok", [("url", 4, 25)]),
        ("/ack@holdfast_bot now", "/ack@holdfast_bot now", [("bot_command", 0, 17)]),
        (
            "<code>/ack</code> and @anna #p1",
            "/ack and @anna #p1",
            [("code", 0, 4), ("mention", 9, 5), ("hashtag", 15, 3)],
        ),
    ],
)
def test_html_becomes_text_and_utf16_entities(source, text, found):
    assert kinds(source, "HTML") == (text, found)


@pytest.mark.parametrize(
    ("source", "trouble"),
    [
        ("<b>unclosed", 'Can\'t find end tag corresponding to start tag "b"'),
        ("<script>x</script>", 'Unsupported start tag "script" at byte offset 0'),
        ("é <nope>", 'Unsupported start tag "nope" at byte offset 3'),
        ("5 < 6 >", 'Unsupported start tag "" at byte offset 2'),
        ("<b><i>test</b></i>", 'Unmatched end tag at byte offset 10, expected "</i>", found "</b>"'),
        ("x</b>", "Unexpected end tag at byte offset 1"),
        ("<b", "Unclosed start tag at byte offset 0"),
        ('<a href="x>y</a>', "Unclosed start tag at byte offset 0"),
        ("<a href>y</a>", 'Expected equal sign in declaration of an attribute of the tag "a" at byte offset 0'),
        ("<span>x</span>", 'Tag "span" must have class "tg-spoiler" at byte offset 0'),
        ("<b>x</b y", "Unclosed end tag at byte offset 4"),
    ],
)
def test_broken_html_is_refused_in_telegrams_words(source, trouble):
    with pytest.raises(ApiError) as refused:
        format_text(source, "HTML")

    assert refused.value.description == f"Bad Request: can't parse entities: {trouble}"


@pytest.mark.parametrize(
    ("source", "text", "found"),
    [
        ("*bold* _it_ __under__ ~gone~ ||dark||", "bold it under gone dark", 5),
        (r"1\.5 \- ok\!", "1.5 - ok!", 0),
        ("[docs](https://example.com/\\)x) `c`", "docs c", 2),
        ("```python\nprint()```", "print()", 1),
        (">quoted\n>more\nplain", "quoted\nmore\nplain", 1),
    ],
)
def test_markdown_becomes_text_and_entities(source, text, found):
    result, entities = format_text(source, "MarkdownV2")

    assert (result, len(entities)) == (text, found)


@pytest.mark.parametrize(
    ("source", "trouble"),
    [
        ("*unclosed", "Can't find end of Bold entity at byte offset 0"),
        ("*bold _italic\\_*", "Can't find end of Bold entity at byte offset 15"),
        ("hello.", "Character '.' is reserved and must be escaped with the preceding '\\'"),
        ("[x](http://e.com", "Can't find end of a URL at byte offset 4"),
    ],
)
def test_broken_markdown_is_refused_in_telegrams_words(source, trouble):
    with pytest.raises(ApiError) as refused:
        format_text(source, "MarkdownV2")

    assert refused.value.description == f"Bad Request: can't parse entities: {trouble}"


@given(st.text("<>/=\"' &;#x1aprecod`*_[](){}|~!\\\n😀", max_size=60), st.sampled_from(["HTML", "MarkdownV2"]))
def test_any_source_is_either_refused_as_unparsable_or_marked_within_its_text(source, mode):
    trouble = "Bad Request: can't parse entities: "
    try:
        text, entities = format_text(source, mode)
    except ApiError as refused:
        text, entities, trouble = "", [], refused.description

    assert trouble.startswith("Bad Request: can't parse entities: ")
    length = len(text.encode("utf-16-le")) // 2
    assert all(0 <= item["offset"] < item["offset"] + item["length"] <= length for item in entities)
    assert html.unescape(re.sub(r"<[^>]*>", "", str(to_html(text, entities)))) == html.unescape(
        html.escape(text)
    )


@given(words)
def test_escaped_text_comes_back_as_it_was(text):
    assert format_text(f"<b>{html.escape(text)}</b>", "HTML")[0] == text
    assert format_text(re.sub(r"([_*\[\]()~`>#+\-=|{}.!\\])", r"\\\1", text), "MarkdownV2")[0] == text


@given(st.data(), st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_a_page_shows_any_text_with_any_entities_without_a_foreign_tag(data, text):
    places = st.integers(0, len(text))
    marks = st.tuples(
        st.sampled_from(["bold", "code", "text_link", "url", "pre", "bot_command"]), places, places
    )
    spans = [
        Span(kind, start, end, {"url": text} if kind == "text_link" else {})
        for kind, start, end in data.draw(st.lists(marks))
        if start < end
    ]

    rendered = str(to_html(text, to_entities(text, spans)))

    assert set(re.findall(r"<(\w*)", rendered)) <= {"", "strong", "code", "pre", "a", "span"}
    assert html.unescape(re.sub(r"<[^>]*>", "", rendered)) == html.unescape(html.escape(text))


def test_a_script_in_a_message_or_link_stays_text():
    text, entities = format_text('<b>&lt;script&gt;</b> <a href="javascript:alert(1)">x</a>', "HTML")

    assert str(to_html(text, entities)) == "<strong>&lt;script&gt;</strong> x"
