"""The second process of the monitor: computes what is known of each deployment, and shows it to people and the operator.

Reads the tables of the lake and writes only documents beside them, so it never competes with the collector for a lock.
"""
