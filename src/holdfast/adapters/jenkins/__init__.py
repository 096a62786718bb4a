from holdfast.adapters.jenkins.pipelines import JenkinsPipelines

__all__ = ["JenkinsPipelines"]
