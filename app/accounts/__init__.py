"""The platform accounts that the box acts as, with their logins under encryption."""
