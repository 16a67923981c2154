"""From bytes on disk to typed samples: brain recordings, the words that were heard, text, splits."""
