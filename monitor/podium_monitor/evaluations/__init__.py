"""What is known of each deployment, by window: computed from the lake, kept beside it, rebuilt from it at will."""
