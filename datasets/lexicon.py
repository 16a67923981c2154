"""The words of the synthetic stories: ten topics that share no content word, and the lexical class of any word.

A topic's words are listed from the most to the least frequent within their role.
"""

from __future__ import annotations

from dataclasses import dataclass
from zlib import crc32

from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

SHORTEST_CONTENT_WORD = 4
FUNCTION_WORDS = ENGLISH_STOP_WORDS | {"didn't", "it's", "near", "later", "leave", "said", "saw"}


@dataclass(frozen=True)
class Topic:
    """The content words of one topic, by role in the sentence."""

    name: str
    person: tuple[str, ...]
    thing: tuple[str, ...]
    action: tuple[str, ...]
    quality: tuple[str, ...]
    place: tuple[str, ...]

    @property
    def words(self) -> tuple[str, ...]:
        return (*self.person, *self.thing, *self.action, *self.quality, *self.place)


def _topic(name: str, *roles: str) -> Topic:
    return Topic(name, *(tuple(role.split()) for role in roles))


TOPICS = (
    _topic(
        "sea", "sailor captain fisher", "boat anchor net", "steered hauled moored", "salty windy", "harbour lighthouse"
    ),
    _topic("kitchen", "cook baker waiter", "bread soup pan", "tasted stirred fried", "spicy warm", "kitchen pantry"),
    _topic(
        "forest",
        "hunter ranger woodcutter",
        "fox oak mushroom",
        "tracked felled gathered",
        "mossy dark",
        "forest clearing",
    ),
    _topic(
        "hospital",
        "nurse doctor patient",
        "bandage needle pill",
        "healed examined cured",
        "feverish pale",
        "hospital ward",
    ),
    _topic(
        "school",
        "teacher pupil principal",
        "essay chalk textbook",
        "spelled studied corrected",
        "clever strict",
        "classroom playground",
    ),
    _topic(
        "railway",
        "conductor engineer passenger",
        "ticket suitcase locomotive",
        "boarded punched shunted",
        "rusty punctual",
        "platform tunnel",
    ),
    _topic(
        "music",
        "singer drummer violinist",
        "melody trumpet piano",
        "played tuned rehearsed",
        "noisy tuneful",
        "stage ballroom",
    ),
    _topic(
        "mountain",
        "climber guide skier",
        "rope glacier icicle",
        "crossed climbed descended",
        "frozen steep",
        "summit ridge",
    ),
    _topic("farm", "farmer shepherd milkmaid", "cow plough sheep", "milked fed harvested", "muddy ripe", "barn meadow"),
    _topic(
        "castle",
        "king knight queen",
        "crown sword dragon",
        "guarded polished conquered",
        "royal brave",
        "castle dungeon",
    ),
)

_CLASS_OF = {word: index for index, topic in enumerate(TOPICS) for word in topic.words}


def lexical_class(word: str, n_topics: int) -> int | None:
    """Which of `n_topics` features a word excites, or None for a function word.

    A topic's word excites its topic. Other words of at least four letters are spread over the features by a checksum,
    so that a text which is not of our grammar plants something as well.
    """
    if word in _CLASS_OF:
        return _CLASS_OF[word] % n_topics
    if len(word) < SHORTEST_CONTENT_WORD or word in FUNCTION_WORDS:
        return None
    return crc32(word.encode()) % n_topics
