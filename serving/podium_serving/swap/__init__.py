"""Hot swap inside one pod: what is prepared, committed, flipped and dropped."""
