"""Between a working tree and the store.

into the store        scan · ingest · statcache
out of the store      checkout · selection · survey · landing · destination · claim
nothing moves         compare
what lives elsewhere  reference
the interpreter       collector
"""
