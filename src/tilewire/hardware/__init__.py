"""Hardware as a graph: tiles, routers, directed links with channels. Families only construct it."""
