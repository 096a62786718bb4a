from holdfast.adapters.github.pipelines import GitHubPipelines

__all__ = ["GitHubPipelines"]
