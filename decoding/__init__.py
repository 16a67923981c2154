"""From fMRI responses to the text that was heard: encoder, bottleneck, character decoder, search, evaluation."""
