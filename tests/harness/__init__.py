"""Machinery of the integration and end-to-end tests: pods without a kubelet, faults, the operator as a process."""
