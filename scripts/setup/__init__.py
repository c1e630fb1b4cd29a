"""Sets up this box: environment, engine build, browser, models, database. Standard library only: it runs first."""
