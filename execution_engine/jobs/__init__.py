"""The rules: submission, lifecycle, access, logs, control, the runner's acts."""
