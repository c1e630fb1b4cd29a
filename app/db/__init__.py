"""The database: engine, migrations, health. Knows no domain's rules."""
