"""The files that incidents need, in a world of its own."""

from tests.bot.conftest import World

SHOP_DOWN = """
kind: incident
name: shop-down
title: The shop is down
summary: Customers cannot buy.
openers: [lead, oncall]
escalation: default
responders: [lead]
checklist: ["Is the payment provider up?"]
"""
DUTY = """
rotas:
  first:
    title: First line
    members: [pavel, olga]
    turn: 7d
    begins: 2026-01-05T10:00
    time_zone: Europe/Berlin
"""
POLICIES = """
policies:
  default:
    title: First line, then the leads
    steps:
      - {page: ["rota:first"], wait: 5m}
      - {page: [lead], wait: 10m}
"""


def write_incident_files(world: World) -> None:
    world.write_file("incident/shop-down.yaml", SHOP_DOWN)
    world.write_file("escalation/duty.yaml", DUTY)
    world.write_file("escalation/policies.yaml", POLICIES)
