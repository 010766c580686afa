"""A plugin for llm; see the README."""
