"""What a project's work took and brought: calls of the model, approvals, content by platform, the prompts most used."""
