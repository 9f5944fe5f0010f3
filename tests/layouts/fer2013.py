"""FER-2013: one table of classes and gray values."""

import cv2

from tests.layouts.faces import posed, write_text

USAGES = ("Training", "Training", "PublicTest", "PrivateTest")

# FER-2013's label of each of the synthetic seven; contempt, which it lacks, stands for neutral.
LABELS = (0, 6, 1, 2, 3, 4, 5)


def make(folder, faces=12):
    """The peaks of some people's expressions, 48 x 48."""
    lines = ["emotion,pixels,Usage"]
    for number in range(-(-faces // 7)):
        for label, (_, peak) in zip(LABELS, posed(f"W{number}", 7, 2), strict=True):
            gray = cv2.cvtColor(peak["image"][16:112, 40:136], cv2.COLOR_RGB2GRAY)
            pixels = cv2.resize(gray, (48, 48), interpolation=cv2.INTER_AREA).ravel()
            usage = USAGES[(len(lines) - 1) % len(USAGES)]
            lines.append(f"{label},{' '.join(map(str, pixels))},{usage}")
    write_text(folder / "fer2013.csv", lines[: faces + 1])
