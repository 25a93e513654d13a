"""Reports for people who do not look at a dashboard: a version's modelling report, and the health of a week."""
