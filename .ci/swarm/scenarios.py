"""The list of all scenarios."""
from swarm import announces, bench, dht, exchange, magnets, newcomer, pex, resume, trouble, twelve, webseeds

ALL = [
    *dht.SCENARIOS, *exchange.SCENARIOS, *magnets.SCENARIOS, *pex.SCENARIOS, *twelve.SCENARIOS, *resume.SCENARIOS,
    *trouble.SCENARIOS, *webseeds.SCENARIOS, *announces.SCENARIOS, *newcomer.SCENARIOS,
]

# What --bench runs in place of them.
BENCH = bench.SCENARIOS
