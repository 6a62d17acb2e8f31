"""The exit statuses of all commands; 0 if all went well."""

EXCEEDED = 1
"""A layer exceeds a limit of ``--fail-above``."""
FAILED = 2
"""An error; one line on stderr says what was wrong."""
NOTHING_TO_DO = 3
"""There was nothing to do: no unit can be removed, or no layer can be compared. No smaller network is written."""
