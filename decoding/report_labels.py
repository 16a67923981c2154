"""How the report names what it shows: labels of scores, and the sentences on method."""

from __future__ import annotations

from .rate_matched import N_DISTRACTORS
from .results import LOWER_IS_BETTER

LABELS = {
    "latent_top1": "Latent, top-1",
    "latent_rate_matched_top1": "Latent, rate-matched",
    "latent_top5": "Latent, top-5",
    "latent_percentile": "Latent, percentile",
    "likelihood_top1": "Likelihood, top-1",
    "likelihood_rate_matched_top1": "Likelihood, rate-matched",
    "likelihood_top5": "Likelihood, top-5",
    "likelihood_percentile": "Likelihood, percentile",
    "text_top1": "Text, top-1",
    "text_rate_matched_top1": "Text, rate-matched",
    "text_top5": "Text, top-5",
    "text_percentile": "Text, percentile",
    "cer": "Character error rate",
    "wer": "Word error rate",
    "bleu1": "BLEU-1",
    "meteor": "METEOR",
    "semantic": "Semantic score",
    "word_rate_r": "Word rate, r",
}
LOG_LABELS = {
    "character": "cross-entropy (nats per character)",
    "contrastive": "contrastive loss (nats)",
    "top1": "top-1 identification",
    "loss": "loss (nats)",
    "word_rate": "word-rate loss",
}
INTERVAL = (
    "95% intervals are bootstraps over whole stories where at least five were pooled, else over blocks of three "
    "windows within the stories (then they speak for these stories only)."
)
NULL = (
    "The null shifts decoded and true windows of a story against each other in a circle by at least 40 repetitions; "
    "p is one-sided, (1 + null scores at least as good) / (1 + null scores), and not corrected for the number of "
    "scores. To be as long as the truth is enough to beat this null in CER, WER and BLEU-1: judge these by the paired "
    "difference to the language model alone, which writes at the same expected lengths, and to noise input where the "
    "null battery was scored."
)
RATE_MATCHED_NOTE = (
    f"Rate-matched: the candidates are the true window and the {N_DISTRACTORS} windows of its story whose word counts "
    "differ least from its own, so that knowing how fast was spoken helps little."
)
PAIRED = (
    "Differences are A minus B on the same windows, the interval is a bootstrap over stories or blocks of three "
    "windows, p is two-sided from flipping the sign of whole blocks."
)


def label(metric: str) -> str:
    """What a metric is called in a table; a name without a label stays as it is."""
    return LABELS.get(metric, metric)


def phrase(metric: str) -> str:
    """The label inside a sentence."""
    name = label(metric)
    return name if name[:2].isupper() else name[:1].lower() + name[1:]


def direction(metric: str) -> str:
    """Which way of a metric is better."""
    return "lower is better" if metric in LOWER_IS_BETTER else "higher is better"
