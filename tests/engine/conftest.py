import pytest

from workers.engine import Engine


@pytest.fixture(scope="session")
def own_engine(engine: Engine) -> Engine:
    if "built" not in engine.origin:
        pytest.skip(f"this machine uses another server than that of engine/: {engine.origin}")
    return engine
