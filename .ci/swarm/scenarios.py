"""The list of all scenarios."""
from swarm import exchange, resume, trouble, twelve

ALL = [*exchange.SCENARIOS, *twelve.SCENARIOS, *resume.SCENARIOS, *trouble.SCENARIOS]
