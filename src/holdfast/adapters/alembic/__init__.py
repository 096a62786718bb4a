from holdfast.adapters.alembic.provider import AlembicProvider

__all__ = ["AlembicProvider"]
