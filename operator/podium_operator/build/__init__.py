"""Builds a version's scoring image: what runs in a build Job. `recipe` and `report` are pure, `engine` talks to Docker."""
