"""Which language and embedding models this box can serve, and how their files get here.

Owns the catalogue, downloads and digests. Knows nothing of inference, the web application or the automation.
"""
