from holdfast.adapters.gitlab.pipelines import GitLabPipelines

__all__ = ["GitLabPipelines"]
