"""Reads messages back."""

from html.parser import HTMLParser


class Words(HTMLParser):
    """Reads HTML as Telegram does: a few tags, properly closed, and the text between them."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.text = ""
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in {"b", "i", "code", "pre", "a", "blockquote"}
        self.open.append(tag)
        self.links += [value for name, value in attrs if name == "href" and value]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def read(card_html: str) -> Words:
    words = Words()
    words.feed(card_html)
    words.close()
    assert not words.open
    return words
