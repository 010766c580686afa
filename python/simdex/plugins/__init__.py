"""Index plugins that come with simdex. Each module is one, and needs the package of its name."""
