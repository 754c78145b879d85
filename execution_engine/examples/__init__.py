"""Example apps. Each folder with a ``manifest.json`` is a module that the embedded Catalog registers."""
