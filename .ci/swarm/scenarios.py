"""The list of all scenarios."""
from swarm import exchange

ALL = [*exchange.SCENARIOS]
