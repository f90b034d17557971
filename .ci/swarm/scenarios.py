"""The list of all scenarios."""
from swarm import exchange, resume, twelve

ALL = [*exchange.SCENARIOS, *twelve.SCENARIOS, *resume.SCENARIOS]
