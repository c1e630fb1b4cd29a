"""The hands of Herald: action types, the browser that carries them out, and the worker that runs them.

Action types import neither ``app`` nor ``inference``; only the worker knows the application's database.
"""
