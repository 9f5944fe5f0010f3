"""From a folder of files to batches: photos, faces, records, TFDS builders and input pipelines."""
