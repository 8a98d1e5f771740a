"""Files for other tools: routing tables, graphs."""
