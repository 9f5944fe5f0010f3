"""What a video showed, in memory that does not grow with its length."""

import numpy as np

# Points of a timeline: more than a screen is wide. When a video has more frames, one point stands
# for two, then for four ...
MOST_POINTS = 2000

# Faces that are kept; beyond these, those seen for the shortest time are forgotten.
MOST_FACES = 64


class FaceSummary:
    """One face of a video.

    Args:
        face_id: Its number.
        n_action_units: How many AUs are recognized.

    Attributes:
        face_id: Its number.
        frames: How many frames showed it.
        present: (n_au,) in how many of them each AU was present.
        total: (n_au,) sum of the probabilities.
    """

    def __init__(self, face_id, n_action_units):
        self.face_id, self.frames = face_id, 0
        self.present = np.zeros(n_action_units, np.int64)
        self.total = np.zeros(n_action_units)
        self.point_frames = np.zeros(MOST_POINTS, np.int64)
        self.point_totals = np.zeros((MOST_POINTS, n_action_units), np.float32)


class VideoSummary:
    """The faces of a video that were seen longest, and their action units over time.

    Args:
        n_action_units: How many AUs are recognized.
        threshold: Probability from which on an AU is present.

    Attributes:
        frames: How many frames were added.
        n_faces: How many faces they showed, forgotten ones included.
    """

    def __init__(self, n_action_units, threshold):
        self._n_action_units, self._threshold = n_action_units, threshold
        self.frames = self.n_faces = 0
        self._newest = -1
        self._faces = {}
        self._frames_a_point = 1
        self._point_frames = np.zeros(MOST_POINTS, np.int64)
        self._point_times = np.zeros(MOST_POINTS)

    def add(self, frame):
        """Takes in the next RecognizedFrame."""
        if self.frames == MOST_POINTS * self._frames_a_point:
            self._coarsen()
        point = self.frames // self._frames_a_point
        self.frames += 1
        self._point_frames[point] += 1
        self._point_times[point] += frame.timestamp
        for tracked, probabilities in zip(frame.faces, frame.probabilities, strict=True):
            face = self._face(tracked.face_id)
            face.frames += 1
            face.present += probabilities >= self._threshold
            face.total += probabilities
            face.point_frames[point] += 1
            face.point_totals[point] += probabilities
        if len(self._faces) > MOST_FACES:
            self._forget({tracked.face_id for tracked in frame.faces})

    def longest(self, count):
        """The faces seen in most frames, at most `count`: list of FaceSummary, longest first."""
        faces = sorted(self._faces.values(), key=lambda face: (-face.frames, face.face_id))
        return faces[:count]

    def timeline(self, faces):
        """Probabilities over time.

        Args:
            faces: FaceSummary of each face that is asked for.

        Returns:
            (n,) times in seconds, n at most MOST_POINTS, and for each face (n, n_au) the mean
            probabilities around these times, NaN where the face was not seen.
        """
        used = -(-self.frames // self._frames_a_point)
        times = self._point_times[:used] / self._point_frames[:used]
        curves = []
        for face in faces:
            frames = face.point_frames[:used, None]
            seen = face.point_totals[:used] / np.maximum(frames, 1)
            curves.append(np.where(frames > 0, seen, np.nan))
        return times, curves

    def _face(self, face_id):
        if face_id not in self._faces:
            self._faces[face_id] = FaceSummary(face_id, self._n_action_units)
            # A face that was forgotten and comes back is not a new one.
            self.n_faces += face_id > self._newest
            self._newest = max(self._newest, face_id)
        return self._faces[face_id]

    def _forget(self, current):
        """Keeps half as many faces as there may be, and those that are in sight."""
        kept = {face.face_id for face in self.longest(MOST_FACES // 2)} | current
        self._faces = {key: face for key, face in self._faces.items() if key in kept}

    def _coarsen(self):
        """Makes one point of every two."""
        self._frames_a_point *= 2
        self._point_frames, self._point_times = _paired(self._point_frames, self._point_times)
        for face in self._faces.values():
            face.point_frames, face.point_totals = _paired(face.point_frames, face.point_totals)


def _paired(*series):
    """Sums of neighbors, followed by as many zeros."""
    sums = [values[0::2] + values[1::2] for values in series]
    return [np.concatenate([values, np.zeros_like(values)]) for values in sums]
