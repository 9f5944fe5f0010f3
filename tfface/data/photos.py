"""Photographs on disk, whatever their format, as RGB arrays and back.

Users bring scans, phone pictures, screenshots and half-copied files. `read_photo` turns every one
of them into the same thing, an upright `(height, width, 3)` uint8 RGB array, or says in one line
why it cannot. `write_photo` never leaves half a file behind.
"""

from __future__ import annotations

import contextlib
import mimetypes
import os
import struct
import threading
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from tfface.atomic import written_aside

# What photographs come in. The list also keeps Pillow from opening formats that run other programs
# (EPS calls Ghostscript) or that hold no photograph.
FORMATS = ("JPEG", "PNG", "BMP", "GIF", "TIFF", "WEBP", "PPM", "JPEG2000")

# What Pillow's decoders raise for damaged files; none of these is a fault of the program.
_DECODER_ERRORS = (
    OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError, OverflowError,
    MemoryError, struct.error, zlib.error,
)  # fmt: skip

Image.init()  # formats beyond the commonest are registered only by this

_OPENING = threading.Lock()


class PhotoError(ValueError):
    """A picture that cannot be read or written; the message is one line: file, rule, reason."""


def read_photo(path: str | os.PathLike, max_pixels: int = 100_000_000) -> np.ndarray:
    """Reads a picture of any common format as an upright RGB array.

    EXIF rotation is applied, gray becomes three equal channels, 16-bit gray is scaled to 8 bits,
    CMYK is converted, transparency is laid over white, and of an animation the first frame is
    taken.

    Args:
        path: The file.
        max_pixels: Most pixels (width x height) that are decoded. The size is read from the file's
            header, so that a small file that claims to be enormous costs no memory.

    Returns:
        (height, width, 3) uint8, RGB, own memory.

    Raises:
        PhotoError: If the file is not there, is empty, is damaged or truncated, is of no known
            format, has more than `max_pixels` pixels, or holds values that are not 8 or 16 bit.
    """
    path = Path(path)
    try:
        if not os.path.isfile(path):  # Path.is_file raises where a name is too long
            received = "a folder" if os.path.isdir(path) else "no such file"
            raise PhotoError(f"{path}: must be a picture file. Received: {received}.")
        if path.stat().st_size == 0:
            raise PhotoError(f"{path}: must be a picture. Received: an empty file (0 bytes).")
        with _opened(path) as image:
            width, height = image.size
            if width * height > max_pixels:
                raise PhotoError(
                    f"{path}: must have at most {max_pixels} pixels. "
                    f"Received: {width} x {height} = {width * height}."
                )
            return _as_rgb(_upright(image), path)
    except PhotoError:
        raise
    except UnidentifiedImageError as error:
        # By the name alone: what else a file may be is not this program's to find out.
        video = (mimetypes.guess_type(path)[0] or "").startswith("video/")
        received = (
            "a video; save its frames as pictures first" if video else "none, or a damaged one"
        )
        raise PhotoError(
            f"{path}: must be a picture ({', '.join(FORMATS)}). Received: {received}."
        ) from error
    except _DECODER_ERRORS as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise PhotoError(f"{path}: cannot be read as a picture ({reason}).") from error


def write_photo(path: str | os.PathLike, image: np.ndarray) -> None:
    """Writes a picture; the file appears complete or not at all. Its folder is made if need be.

    Args:
        path: Where to write. The ending decides the format (.png, .jpg, .webp ...).
        image: (height, width, 3) uint8, RGB.

    Raises:
        PhotoError: If the image is no such array, the ending names no format that can be written,
            or the file cannot be written (a full or read-only folder).
    """
    path = Path(path)
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.shape[2:] != (3,):
        received = f"{image.dtype} {image.shape}" if isinstance(image, np.ndarray) else type(image)
        raise PhotoError(
            f"{path}: `image` must be a (height, width, 3) uint8 array. Received: {received}."
        )
    if not is_picture_name(path):
        raise PhotoError(
            f"{path}: must end in a picture format (.png, .jpg). Received: {path.suffix!r}."
        )
    try:
        with written_aside(path) as aside:
            Image.fromarray(image).save(aside, quality=95)
    except OSError as error:
        raise PhotoError(f"{path}: cannot be written ({error.strerror or error}).") from error


def write_animation(
    path: str | os.PathLike, frames: Sequence[np.ndarray], milliseconds: int = 120
) -> None:
    """Writes pictures as an animated GIF that begins anew at its end; whole or not at all.

    All frames share one palette without dithering, so that what does not change does not flicker.

    Args:
        path: Where to write.
        frames: At least one, each (height, width, 3) uint8, RGB, of one size.
        milliseconds: How long each is shown.

    Raises:
        PhotoError: If the file cannot be written.
    """
    pictures = [Image.fromarray(frame) for frame in frames]
    ends = Image.fromarray(np.concatenate([frames[0], frames[-1]]))
    palette = ends.quantize(256, method=Image.Quantize.MEDIANCUT)
    shown = [picture.quantize(palette=palette, dither=Image.Dither.NONE) for picture in pictures]
    try:
        with written_aside(path) as aside:
            shown[0].save(
                aside,
                format="GIF",
                save_all=True,
                append_images=shown[1:],
                duration=milliseconds,
                loop=0,
            )
    except OSError as error:
        raise PhotoError(f"{path}: cannot be written ({error.strerror or error}).") from error


def is_picture_name(path: str | os.PathLike) -> bool:
    """Whether a file's name ends as pictures do that `read_photo` reads (.jpg, .PNG ...)."""
    return Image.registered_extensions().get(Path(path).suffix.lower()) in FORMATS


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """Opens a file's header without Pillow's own size limit, which `max_pixels` replaces."""
    # Pillow knows its limit as a global alone: it is lifted for the moment in which the header is
    # read, one thread at a time, and every other user of Pillow keeps it.
    with _OPENING:
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            image = Image.open(path, formats=FORMATS)
        finally:
            Image.MAX_IMAGE_PIXELS = limit
    with image:
        yield image


def _upright(image: Image.Image) -> Image.Image:
    """Applies the EXIF rotation; damaged EXIF data does not cost the picture."""
    image.load()
    try:
        return ImageOps.exif_transpose(image)
    except _DECODER_ERRORS:
        return image


def _as_rgb(image: Image.Image, path: Path) -> np.ndarray:
    """Any of Pillow's modes as (height, width, 3) uint8."""
    if image.mode.startswith("I"):  # 16-bit gray; "I" is how 16-bit PGM and some PNG arrive
        values = np.asarray(image).astype(np.int64)
        if values.min() < 0 or values.max() > 65535:
            raise PhotoError(
                f"{path}: must have 8 or 16 bits a channel. "
                f"Received: values from {values.min()} to {values.max()}."
            )
        gray = ((values + 128) // 257).astype(np.uint8)
        return np.repeat(gray[..., None], 3, axis=-1)
    if image.mode == "F":
        raise PhotoError(f"{path}: must have 8 or 16 bits a channel. Received: float values.")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    return np.array(image.convert("RGB"))
