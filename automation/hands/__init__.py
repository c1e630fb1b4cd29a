"""The hands: each approved action runs in a process of its own, shut off from everything that it does not need.

``client`` belongs to the worker; ``zygote`` starts, watches and ends the processes; ``child`` is such a process.
"""
