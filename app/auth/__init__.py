"""Who may use the box: one key for programs, one-time sign-in links and a signed cookie for browsers."""
