"""Sphinx configuration: MyST pages, no network, warnings are errors."""

project = "Tilewire"
author = "The Tilewire developers"
extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build", "studies"]
html_theme = "furo"
html_title = "Tilewire"
myst_enable_extensions = ["dollarmath", "deflist"]
myst_heading_anchors = 3
