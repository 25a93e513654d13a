"""What turned out to be true: labels and business outcomes of predictions, as people and systems post them.

    POST /v1/labels

Kept as a history: a correction is another row, and the newest of a join key is the truth. docs/guide/labels.md is for those
who post them.
"""
