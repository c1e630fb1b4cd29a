"""Conversations and their messages, kept until their owner deletes them."""
