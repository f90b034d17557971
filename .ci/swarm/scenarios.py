"""The list of all scenarios."""
from swarm import bench, exchange, resume, trouble, twelve

ALL = [*exchange.SCENARIOS, *twelve.SCENARIOS, *resume.SCENARIOS, *trouble.SCENARIOS]

# What --bench runs in place of them.
BENCH = bench.SCENARIOS
