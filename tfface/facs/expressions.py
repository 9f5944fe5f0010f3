"""The prototypic expressions, the action units that make them, and each data set's classes."""

PROTOTYPES = {
    "anger": (4, 5, 7, 23),
    "disgust": (9, 15, 17),
    "fear": (1, 2, 4, 5, 7, 20, 26),
    "happiness": (6, 12),
    "sadness": (1, 4, 15),
    "surprise": (1, 2, 5, 26),
    "contempt": (12, 14),
    "neutral": (),
}
"""dict of name to tuple of int: the action units of each prototypic expression.

Source: W. V. Friesen, P. Ekman, "EMFACS-7: Emotional Facial Action Coding System", 1983, and the
table of prototypes in the FACS Investigator's Guide (Ekman, Friesen, Hager, 2002). Several
variants are published for most expressions; these are the commonly used ones. For disgust, which
is given as 9 with 15+16, with 15+17 or with 17, the choice is 9+15+17. Contempt is one-sided
(R12A+R14A), which a set of action units cannot say.
"""

CK_PLUS_EXPRESSIONS = (
    "anger",
    "contempt",
    "disgust",
    "fear",
    "happiness",
    "sadness",
    "surprise",
)
"""Class of label 1 to 7 of CK+'s `*_emotion.txt` files (class ID = label - 1)."""

OULU_CASIA_EXPRESSIONS = ("anger", "disgust", "fear", "happiness", "sadness", "surprise")
"""Oulu-CASIA's folders in alphabetical order, as the papers list them."""

BU3DFE_EXPRESSIONS = (
    "anger",
    "disgust",
    "fear",
    "happiness",
    "neutral",
    "sadness",
    "surprise",
)
"""BU-3DFE's classes in the order of their codes: AN DI FE HA NE SA SU."""

BU4DFE_EXPRESSIONS = ("anger", "disgust", "fear", "happiness", "sadness", "surprise")
"""BU-4DFE's folders in alphabetical order (Angry, Disgust, Fear, Happy, Sad, Surprise)."""

LSEMSW_EXPRESSIONS = (
    "happy",
    "anxious",
    "sad",
    "scared",
    "angry",
    "hesitant",
    "indifferent",
    "surprised",
    "arrogant",
    "thinking",
    "helpless",
    "suspicious",
    "questioning",
)
"""LSEMSW's 13 subtle expressions under their own names, in the order of the GroupGAN paper."""

FER2013_EXPRESSIONS = (
    "anger",
    "disgust",
    "fear",
    "happiness",
    "sadness",
    "surprise",
    "neutral",
)
"""Class of label 0 to 6 of the column `emotion` of `fer2013.csv`."""
