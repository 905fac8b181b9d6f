"""The doors for Prefect. Each flow is a script: Prefect and people start it by its path, so it finds its neighbours by their own names."""
