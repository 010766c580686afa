"""A plugin for Datasette; see the README."""
