"""The app owns the truth: accounts, memory, conversations, proposals, approvals, the audit log. It loads no weights
and drives no browser."""
