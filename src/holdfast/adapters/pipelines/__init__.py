from holdfast.adapters.pipelines.provider import PipelineProvider

__all__ = ["PipelineProvider"]
