"""The scenarios of .ci/interop and what they are made of.

runner runs scenarios, one after the other. Each gets a lab: a folder, addresses
and processes that end with it. clients knows how Shoal and the clients of
others are started, folder makes the data and compares it.
"""
