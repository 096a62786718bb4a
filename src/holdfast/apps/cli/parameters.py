"""Parameters that several commands share."""

from typing import Annotated

from cyclopts import Parameter

AsPerson = Annotated[str, Parameter(name="--as", help="Who you are: your short name in people.yaml.")]
AsJson = Annotated[bool, Parameter(name="--json", help="One JSON document on stdout.", show_default=False)]
RunId = Annotated[str, Parameter(help="The run's id, as `holdfast runs` lists it.")]
