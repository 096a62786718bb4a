"""How data crosses the wire to and from the Temporal server; every client and worker uses this one."""

import dataclasses

from temporalio.api.enums.v1 import ApplicationErrorCategory
from temporalio.api.failure.v1 import Failure
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.converter import DefaultFailureConverter, PayloadConverter


class PlainFailureConverter(DefaultFailureConverter):
    """Leaves stack traces of refusals out: an approver reads them in the Temporal UI.

    An `ApplicationError` that is final, or benign like the wait for the next reminder, is raised on purpose and
    says in words what is the matter; a bug keeps its trace.
    """

    def to_failure(
        self, exception: BaseException, payload_converter: PayloadConverter, failure: Failure
    ) -> None:
        """Convert as usual, then drop the trace of what was raised on purpose."""
        super().to_failure(exception, payload_converter, failure)
        info = failure.application_failure_info
        if info.non_retryable or info.category == ApplicationErrorCategory.APPLICATION_ERROR_CATEGORY_BENIGN:
            failure.stack_trace = ""


DATA_CONVERTER = dataclasses.replace(pydantic_data_converter, failure_converter_class=PlainFailureConverter)
