"""The portal's refusals, as its clients see them."""


class RestError(Exception):
    """A refusal with its HTTP status, its code and its description."""

    def __init__(self, status: int, code: str, description: str) -> None:
        super().__init__(f"{code}: {description}")
        self.status = status
        self.code = code
        self.description = description

    @property
    def body(self) -> dict[str, str]:
        """What the client reads."""
        return {"error": self.code, "error_description": self.description}


def not_found(what: str = "Item") -> RestError:
    """The 400 (not 404) with which `crm.*` methods answer for what is not there."""
    return RestError(400, "NOT_FOUND", f"{what} not found")


def invalid_argument(description: str) -> RestError:
    """A filter, an order or an argument that makes no sense."""
    return RestError(400, "INVALID_ARG_VALUE", description)


def missing_argument(name: str) -> RestError:
    """A required parameter was not given; the code really is the number 100."""
    return RestError(400, "100", f"Could not find value for parameter {{{name}}}")
