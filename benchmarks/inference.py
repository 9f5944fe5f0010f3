"""How fast exported models answer: action units in a video, expressions of many faces.

    python -m benchmarks inference [--model PATH] [--detector-model YUNET.onnx] [--minutes 10]
    python -m benchmarks inference --system regeneration [--model PATH]
    python -m benchmarks inference --formats RUN [RUN ...] [--faces 200]

Recognition: a video of a synthetic face that moves and makes its expressions is written and read as
`tfface recognize` reads it. Every way of searching has its turns in the same run; then the whole
length is read once, and the memory that the process holds is printed minute by minute.

Regeneration: all generators and FER-Net in one call, as exported, against calling one after the
other and comparing the features outside.

Formats: size, time a face and quality of finished runs' networks as Keras, SavedModel and LiteRT
(`formats.py`).
"""

import argparse
import itertools
import os
import resource
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import cv2
import numpy as np

from benchmarks import devices
from benchmarks.charts import Bars, draw_bars
from benchmarks.measure import table, take_turns
from benchmarks.results import add_out, save

FPS, SIZE, FACE = 25, (320, 240), 160
EVERY = (1, 5, 25)


def write_video(path, seconds):
    """A face of 160 pixels that wanders over a grey picture and goes through its expressions."""
    from tfface.data import synthetic

    faces = [record["image"] for record in synthetic.sequences(0, "video", FACE)]
    # To the peak and back, one expression after another.
    loop = list(
        itertools.chain(
            *(faces[i : i + 12] + faces[i : i + 12][::-1] for i in range(0, len(faces), 12))
        )
    )
    video = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), FPS, SIZE)
    room = np.array([SIZE[0] - FACE, SIZE[1] - FACE])
    for frame in range(int(seconds * FPS)):
        picture = np.full((SIZE[1], SIZE[0], 3), 110, np.uint8)
        phase = frame / FPS
        x, y = np.rint(room * (0.5 + 0.4 * np.sin([0.7 * phase, 0.45 * phase]))).astype(int)
        picture[y : y + FACE, x : x + FACE] = loop[frame % len(loop)]
        video.write(picture[..., ::-1])
    video.release()


def recognizer(path):
    """The model to time: a trained one, or an untrained one of the quickstart's network."""
    if path is not None:
        return path
    import yaml

    from tfface.facs.action_units import BP4D_AUS
    from tfface.recognition.networks import ActionUnitRecognizer

    config = Path(__file__).parents[1] / "training/configs/recognition/quickstart.yaml"
    return ActionUnitRecognizer(BP4D_AUS, **yaml.safe_load(config.read_text())["recognizer"])


def memory():
    """The memory that this process holds now, in MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return round(pages * resource.getpagesize() / 2**20)


FACES = (1, 8, 32)
"""How many faces are regenerated at once."""


def regenerator(path):
    """The model to time: a trained one, or an untrained one of the quickstart's networks."""
    from tfface.regeneration.features import create_features
    from tfface.regeneration.networks import ExpressionRegenerator, RegenerationGenerator
    from tfface.serving.systems import load_network

    if path is not None:
        return load_network("regeneration", path)
    import yaml

    config = Path(__file__).parents[1] / "training/configs/regeneration/quickstart.yaml"
    config = yaml.safe_load(config.read_text())
    classes = config["faces"]["classes"]
    generators = [RegenerationGenerator(name, **config["generator"]) for name in classes]
    classifier, _ = create_features(config.get("features", "fer_net"), classes)
    return ExpressionRegenerator(generators, classifier)


def ways_of_regenerating(network):
    """By name, functions of faces (B, size, size, 3) in [0, 1] to distances (B, classes)."""
    import tensorflow as tf

    from tfface.data.augmentation import to_gray
    from tfface.serving.signatures.regeneration import regeneration_servable

    endpoint = regeneration_servable(network).endpoints["regenerate"]
    whole = tf.function(endpoint.function, input_signature=list(endpoint.specs))
    spec = tf.TensorSpec((None, network.size, network.size, network.channels), tf.float32)

    def traced(model):
        return tf.function(lambda faces: model(faces, training=False), input_signature=[spec])

    generators = [traced(generator) for generator in network.generators]
    read = traced(network.classifier.with_features())

    def one_by_one(faces):
        given = to_gray(faces) if network.channels == 1 else faces
        features = read(given)[1].numpy()
        others = [read(generator(given))[1].numpy() for generator in generators]
        return np.stack([np.linalg.norm(features - other, axis=1) for other in others], axis=1)

    return {"one call": lambda faces: whole(faces)["distances"].numpy(), "one by one": one_by_one}


def regeneration(args):
    """Prints faces a second of both ways, which must agree."""
    import tensorflow as tf

    tf.get_logger().setLevel("ERROR")  # one function a generator looks to it like retracing
    network = regenerator(args.model)
    ways, rows, panels = ways_of_regenerating(network), [], []
    for count in FACES:
        noise = np.random.default_rng(0).random((count, network.size, network.size, 3), np.float32)
        faces = tf.constant(noise)
        found = [way(faces) for way in ways.values()]
        np.testing.assert_allclose(*found, atol=1e-3 * np.abs(found[0]).max())
        calls = {name: lambda way=way, faces=faces: way(faces) for name, way in ways.items()}
        timings = take_turns(calls, turns=5 * args.turns, calls=max(1, 8 // count), warm_up=1)
        speeds = {name: count / timings.median(name) for name in ways}
        ratio = f"{timings.ratio('one by one', 'one call'):.2f}"
        rows.append([count, *(f"{speed:.0f}" for speed in speeds.values()), ratio])
        panels.append(Bars(f"{count} faces at once", "faces a second", speeds))
    header = ["faces", *(f"{name}: faces/s" for name in ways), "times as fast"]
    print(f"{len(network.classes)} generators, faces of {network.size} pixels")
    print(table(header, rows))
    draw = partial(draw_bars, panels, title="Regeneration: one call beside one by one")
    save(args.out, "inference_regeneration", {"header": header, "rows": rows}, draw)


def main(arguments=None):
    """Measures, prints the table, writes the figures and their chart."""
    parser = argparse.ArgumentParser(
        prog="benchmarks inference",
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument("--system", choices=("recognition", "regeneration"), default="recognition")
    parser.add_argument("--model", help="a trained model; default: an untrained one")
    parser.add_argument("--detector-model", help="YuNet's .onnx file, to time YuNet as well")
    parser.add_argument("--minutes", type=float, default=10.0, help="length of the long video")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--formats", nargs="+", metavar="RUN", help="finished runs of any system")
    parser.add_argument("--faces", type=int, default=200, help="test faces of --formats, at most")
    devices.add_device(parser)
    add_out(parser)
    args = parser.parse_args(arguments)
    if args.minutes <= 0 or args.turns < 1 or args.faces < 1:
        parser.error("--minutes must be above 0, --turns and --faces at least 1")
    devices.choose(args.device)
    if args.formats:
        compare_formats(args)
    else:
        {"recognition": recognition, "regeneration": regeneration}[args.system](args)
    return 0


def compare_formats(args):
    """Prints a table for each run."""
    from benchmarks.formats import compare, show

    tables, panels = [], []
    for run in args.formats:
        found = compare(run, args.faces, 5 * args.turns)
        print(show(found), flush=True)
        tables.append(found)
        times = {name: float(ms) for name, _, ms, *_ in found["rows"]}
        panels.append(Bars(f"{found['system']}, {found['run']}", "ms a face", times))
        # After each, since a run's formats take minutes.
        draw = partial(draw_bars, panels, title="Formats: one face at a time")
        save(args.out, "inference_formats", {"tables": tables}, draw)


def recognition(args):
    """Prints frames a second of every way of searching, and the memory over a long video."""
    from tfface.data.detection import create_detector
    from tfface.data.videos import open_video
    from tfface.serving.predictors.recognition import RecognitionPredictor

    detectors = {"mtcnn": create_detector()}
    if args.detector_model:
        detectors["yunet"] = create_detector("yunet", args.detector_model)
    model = recognizer(args.model)
    predictors = {name: RecognitionPredictor(model, each) for name, each in detectors.items()}

    with tempfile.TemporaryDirectory() as folder:
        short, long = Path(folder) / "short.mp4", Path(folder) / "long.mp4"
        write_video(short, 8)
        write_video(long, 60 * args.minutes)
        frames = 8 * FPS

        def read(predictor, every):
            with open_video(short) as video:
                found = sum(bool(frame.faces) for frame in predictor.frames(video, every))
            return found

        def decode():
            with open_video(short) as video:
                return sum(1 for _ in video)

        ways = {("decoding alone", ""): decode}
        found = {}
        for (name, predictor), every in itertools.product(predictors.items(), EVERY):
            ways[name, every] = lambda predictor=predictor, every=every: read(predictor, every)
            found[name, every] = read(predictor, every)
        timings = take_turns(ways, turns=args.turns, calls=1, warm_up=1)
        rows = [
            [
                name,
                every,
                f"{frames / timings.median((name, every)):.0f}",
                f"{found[name, every] / frames:.1%}" if (name, every) in found else "",
            ]
            for name, every in ways
        ]
        header = ["detector", "searched every n-th frame", "frames/s", "frames with a face"]
        print(f"{SIZE[0]}x{SIZE[1]}, one face, recognizer of {predictors['mtcnn'].size} pixels")
        print(table(header, rows), flush=True)

        name = "yunet" if "yunet" in predictors else "mtcnn"
        held, began = [], time.perf_counter()
        with open_video(long) as video:
            for frame in predictors[name].frames(video, 5):
                if frame.index % (60 * FPS) == 0:
                    held.append(memory())
        held.append(memory())
        seconds = time.perf_counter() - began
        print(
            f"{args.minutes:g} minutes read in {seconds:.0f} s, {name} on every 5th frame; "
            f"MB held at each minute: {held}"
        )
        content = {"header": header, "rows": rows, "mb_by_minute": held, "seconds": seconds}
        speeds = {
            f"{detector}, every {n} frames" if n else detector: float(speed)
            for detector, n, speed, _ in rows
        }
        panels = [Bars("frames read", "frames a second", speeds)]
        draw = partial(draw_bars, panels, title="Recognition in a video")
        save(args.out, "inference_recognition", content, draw)


if __name__ == "__main__":
    sys.exit(main())
