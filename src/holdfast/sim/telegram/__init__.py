"""A stand-in for Telegram: a Bot API server that behaves like the real one, and a page for the people in it.

Run it with `python -m holdfast.sim.telegram --help`, or serve `create_app(settings)` from a test. What bots
call is in `methods`; what people and tools call is described in `humanapi`.
"""

from holdfast.sim.telegram.limits import LimitSettings
from holdfast.sim.telegram.people import People, load_people
from holdfast.sim.telegram.server import create_app, start
from holdfast.sim.telegram.settings import Settings
from holdfast.sim.telegram.weather import Weather

__all__ = ["LimitSettings", "People", "Settings", "Weather", "create_app", "load_people", "start"]
