"""A package on a KFP server: connection, sign-in, runs, schedules."""
