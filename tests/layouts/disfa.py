"""DISFA: a video a subject, a text file an AU, a .mat file of 66 points a frame."""

import cv2
import numpy as np
import scipy.io

from tests.layouts.faces import HEIGHT, WIDTH, spontaneous, write_text

AUS = (1, 2, 4, 5, 6, 9, 12, 15, 17, 20, 25, 26)


def make(folder, subjects=("SN001", "SN009"), frames=4, counting_as_frames=("SN009",)):
    """A video, 12 label files and landmarks of every frame for each subject.

    Args:
        folder: Where.
        subjects: Names.
        frames: Frames a video.
        counting_as_frames: Subjects whose landmarks are named `l00001_lm.mat` for frame 1.
    """
    for subject in subjects:
        recorded = spontaneous(subject, frames)
        write_video(folder / f"Videos_LeftCamera/LeftVideo{subject}_comp.avi", recorded)
        for unit in AUS:
            lines = [
                f"{number},{round(float(frame['intensity'][unit]))}"
                for number, frame in enumerate(recorded, 1)
            ]
            write_text(folder / f"ActionUnit_Labels/{subject}/{subject}_au{unit}.txt", lines)
        place = folder / f"Landmark_Points/{subject}/tmp_frame_lm"
        place.mkdir(parents=True)
        points = [np.delete(frame["landmarks"], [60, 64], axis=0) for frame in recorded]
        if subject in counting_as_frames:
            named = {f"l{number:05d}_lm.mat": each for number, each in enumerate(points, 1)}
            named["l00000_lm.mat"] = points[0]
        else:
            named = {f"{subject}_{number:04d}_lm.mat": each for number, each in enumerate(points)}
        for name, each in named.items():
            scipy.io.savemat(place / name, {"pts": each.astype(np.float64)})


def write_video(path, recorded):
    """20 frames a second, as DISFA's; Motion JPEG, which OpenCV's wheel can write."""
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 20, (WIDTH, HEIGHT))
    assert writer.isOpened()
    for frame in recorded:
        writer.write(np.ascontiguousarray(frame["image"][..., ::-1]))
    writer.release()
