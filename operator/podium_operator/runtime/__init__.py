"""What keeps reconciles going: the queue, its workers, the watch, the Lease, liveness, metrics. Knows no kind's policy."""
