"""The work of `tfface recognize`: file by file, each result where it was asked for."""

import contextlib
import sys

from tqdm import tqdm

from tfface.atomic import written_aside
from tfface.commands.files import output_names, say
from tfface.commands.recognition.formats import CsvWriter, JsonWriter, Source, Writer
from tfface.commands.recognition.summary import VideoSummary
from tfface.commands.recognition.tables import photo_table, video_table
from tfface.commands.startup import CommandError
from tfface.data.photos import PhotoError, is_picture_name, read_photo
from tfface.data.tracking import TrackedFace
from tfface.data.videos import VideoError, is_video_name, open_video
from tfface.serving.predictors.recognition import RecognizedFrame


class Job:
    """Recognizes photos and videos.

    Args:
        predictor: RecognitionPredictor.
        args: What the user asked for, as the verb's parser gives it.
        files: pathlib.Path of each file.
        several: Whether each result must say which file it is of.
    """

    def __init__(self, predictor, args, files, several):
        self._predictor, self._args, self._files = predictor, args, files
        self._several = several
        self._as_table = args.format == "table"
        self._ending = ".json" if args.format == "json" else ".csv"
        self._printed = Writer()
        # Rows that run over the screen would tear a bar up.
        self._no_bars = args.out is None and not self._as_table and sys.stdout.isatty()

    def run(self):
        """Recognizes all files; returns how many could be read."""
        done = 0
        if self._args.out is None and not self._as_table:
            self._printed = self._writer(sys.stdout, self._several)
        single = len(self._files) == 1
        # disable=None: a bar on a terminal, nothing elsewhere.
        with tqdm(
            total=len(self._files), unit=" files", disable=single or self._no_bars or None
        ) as bar:
            try:
                for file, stem in zip(self._files, self._stems(), strict=True):
                    done += self._recognize(file, stem)
                    bar.update()
            finally:  # what is printed is whole, even where the work stops in its middle
                self._printed.close()
        return done

    def _recognize(self, file, stem):
        """Recognizes one file; False, with a line that says why, if it cannot be read."""
        try:
            if _is_video(file):
                self._recognize_video(file, stem)
            else:
                self._recognize_photo(file, stem)
        except (PhotoError, VideoError) as error:
            say(error)
            return False
        except MemoryError:
            say(f"{file}: too large for this machine's memory")
            return False
        except ValueError as error:  # not the file's fault
            raise CommandError(error) from error
        return True

    def _recognize_photo(self, file, stem):
        action_units, threshold = self._predictor.action_units, self._args.threshold
        result = self._predictor(read_photo(file))
        faces = tuple(TrackedFace(i, face, True) for i, face in enumerate(result.faces))
        frame = RecognizedFrame(0, 0.0, faces, result.probabilities)
        with self._opened(stem) as writer:
            writer.begin(Source(str(file)))
            writer.add(frame)
            writer.end(missing=0)
        plot = self._plot_name(stem, len(faces))
        if plot:
            from tfface.commands.recognition.plots import plot_photo

            plot_photo(result, action_units, threshold, file, plot)
        self._report(
            f"{file}: {_count(len(faces), 'face')}",
            stem,
            plot,
            lambda: photo_table(frame, action_units, threshold),
        )
        if not faces:
            say(f"{file}: no face found")

    def _recognize_video(self, file, stem):
        action_units, threshold = self._predictor.action_units, self._args.threshold
        summary = VideoSummary(len(action_units), threshold)
        with open_video(file) as video, self._opened(stem) as writer:
            writer.begin(Source(str(file), is_video=True, fps=video.fps))
            try:
                for frame in self._frames(video):
                    writer.add(frame)
                    summary.add(frame)
            except BaseException:
                writer.end(missing=None)
                raise
            writer.end(video.missing)
        plot = self._plot_name(stem, summary.n_faces)
        if plot:
            from tfface.commands.recognition.plots import plot_video

            plot_video(summary, action_units, threshold, file, plot)
        self._report(
            f"{file}: {_count(summary.n_faces, 'face')} in {_count(summary.frames, 'frame')} "
            f"({summary.frames / video.fps:.1f} s)",
            stem,
            plot,
            lambda: video_table(summary, video.fps, action_units),
        )
        if not summary.n_faces:
            say(f"{file}: no face found in {_count(summary.frames, 'frame')}")
        if video.missing:
            say(
                f"{file}: {video.missing} of {_count(video.frame_count, 'frame')} missing: "
                "damaged or cut off"
            )

    def _frames(self, video):
        """The video's frames recognized, under a bar."""
        with tqdm(
            total=video.frame_count,
            desc=video.path.name,
            unit=" frames",
            leave=False,
            disable=self._no_bars or None,
        ) as bar:
            for frame in self._predictor.frames(video, self._args.detect_every):
                yield frame
                bar.update()

    @contextlib.contextmanager
    def _opened(self, stem):
        """Gives the Writer of one file's results."""
        if stem is None:
            yield self._printed
            return
        with (
            written_aside(f"{stem}{self._ending}") as aside,
            open(aside, "w", encoding="utf-8", newline="") as stream,
        ):
            writer = self._writer(stream, several=False)
            yield writer
            writer.close()

    def _writer(self, stream, several):
        kind = JsonWriter if self._ending == ".json" else CsvWriter
        return kind(stream, self._predictor.action_units, self._args.threshold, several)

    def _stems(self):
        """Each file's outputs without their endings; None where all goes to standard output."""
        out = self._args.out
        if out is None:
            return [None] * len(self._files)
        endings = (self._ending, ".png") if self._args.plot else (self._ending,)
        names = output_names(self._files, out, endings)
        return [f"{out / name}" for name in names]

    def _plot_name(self, stem, n_faces):
        return f"{stem}.png" if self._args.plot and n_faces else None

    def _report(self, line, stem, plot, table):
        """Says what came of a file, and where it is written."""
        written = [] if stem is None else [f"{stem}{self._ending}"]
        if plot:
            written.append(plot)
        if written:
            line = f"{line}, {' '.join(written)}"
        if written or self._as_table:
            say(line, sys.stdout)
        if self._as_table:
            for row in table():
                tqdm.write(row, file=sys.stdout)


def _is_video(file):
    """By its name; a name that says nothing leaves it to what is in the file."""
    if is_video_name(file) or is_picture_name(file):
        return is_video_name(file)
    try:
        open_video(file).close()
    except VideoError:
        return False
    return True


def _count(number, what):
    return f"{number} {what}{'' if number == 1 else 's'}"
