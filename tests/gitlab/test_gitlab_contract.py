from pydantic import HttpUrl

from holdfast.adapters.gitlab import GitLabPipelines
from holdfast.runbook.systems import GitLabSystem
from tests.pipelines.contract import POLL, SYSTEM, TOKEN, VISIBLE_WITHIN, PipelinesContract, reveal


def gitlab(url: str) -> GitLabPipelines:
    system = GitLabSystem(
        kind="gitlab",
        url=HttpUrl(url),
        token=TOKEN,
        project="shop/bot",
        poll=POLL,
        visible_within=VISIBLE_WITHIN,
    )
    return GitLabPipelines({SYSTEM: system}, reveal)


class TestGitLab(PipelinesContract):
    face = "gitlab"
    make = staticmethod(gitlab)
