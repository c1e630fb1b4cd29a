"""Breaking a running box on purpose: what is lost, what happens twice, what gets out (``./scripts/chaos``)."""
