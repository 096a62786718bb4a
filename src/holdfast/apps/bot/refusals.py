from holdfast.i18n import understood


def refusal_words(error: Exception) -> str:
    """Return, as plain text in the reader's language, why something was not done."""
    return understood(str(error))
