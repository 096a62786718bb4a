"""Finds the help pages that fit a question: words and letter triples, weighted by how rare they are."""

import math
import re
from collections import Counter

_TOPICS = {
    "order": ("track my order", "change the delivery address", "cancel an order", "order arrived damaged"),
    "payment": ("pay by bank transfer", "card was declined", "refund has not arrived", "download an invoice"),
    "account": ("reset my password", "change my e-mail address", "delete my account", "add a colleague"),
    "delivery": ("delivery times", "delivery abroad", "parcel is lost", "pick up in a shop"),
    "warranty": ("claim the warranty", "repair or replace", "warranty for companies", "send a device back"),
    "contract": ("framework contract", "volume discount", "extend the contract", "terms of payment"),
}
_PAGES = tuple(f"{topic}: how to, {title}, what to do" for topic, titles in _TOPICS.items() for title in titles)


def _terms(text: str) -> Counter[str]:
    words = re.findall(r"\w+", text.lower())
    triples = (word[i : i + 3] for word in words for i in range(len(word) - 2))
    return Counter((*words, *triples))


_TERMS = [_terms(page) for page in _PAGES]
_RARITY = {
    term: math.log(1 + len(_PAGES) / sum(term in page for page in _TERMS)) for page in _TERMS for term in page
}
_LENGTHS = [math.sqrt(sum((n * _RARITY[term]) ** 2 for term, n in page.items())) for page in _TERMS]


def best_pages(question: str, count: int = 3) -> list[str]:
    """Return the pages that fit best, best first; none where not a single term fits."""
    asked = {term: n * _RARITY[term] for term, n in _terms(question).items() if term in _RARITY}
    scores = [
        sum(weight * page[term] * _RARITY[term] for term, weight in asked.items()) / length
        for page, length in zip(_TERMS, _LENGTHS, strict=True)
    ]
    ranked = sorted(range(len(_PAGES)), key=lambda number: scores[number], reverse=True)
    return [_PAGES[number] for number in ranked[:count] if scores[number] > 0]
