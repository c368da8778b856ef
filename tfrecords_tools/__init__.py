"""From photos, videos and others' files to records: `python -m tfrecords_tools.align` and its like."""
