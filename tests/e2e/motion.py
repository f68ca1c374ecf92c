"""The frames of an animated file and their times, by Pillow alone: libwebp, libavif and Pillow's own GIF and PNG."""

import warnings

import numpy
from PIL import Image, ImageSequence


class Motion:
    """Frames as RGBA, the moment in milliseconds at which each begins, and how often all of them are shown."""

    def __init__(self, path):
        self.frames, self.starts, self.durations = [], [], []
        with warnings.catch_warnings(), Image.open(path) as image:
            warnings.simplefilter("ignore")
            self.format = image.format
            # Pillow counts the default image of a PNG that is not part of its animation.
            skip = 1 if getattr(image, "default_image", False) else 0
            time = 0
            for index, frame in enumerate(ImageSequence.Iterator(image)):
                frame.load()
                if index < skip:
                    continue
                self.frames.append(frame.convert("RGBA"))
                duration = image.info.get("duration", 0)
                # Browsers' floor; renditions have it applied.
                duration = 100 if duration <= 10 else round(duration)
                self.starts.append(time)
                self.durations.append(duration)
                time += duration
            self.total = time
            self.plays = plays(image)

    def at(self, time):
        return self.frames[max(index for index, start in enumerate(self.starts) if start <= time)]

    def distinct(self):
        """The number of frames that differ from the one before."""
        pairs = zip(self.frames, self.frames[1:])
        return 1 + sum(not numpy.array_equal(numpy.asarray(one), numpy.asarray(next)) for one, next in pairs)


def plays(image):
    """The number of times that browsers show all frames, 0 for endless; `None` where Pillow does not know it (AVIF)."""
    loop = image.info.get("loop")
    if image.format == "GIF":
        return 1 if loop is None else loop + 1 if loop else 0
    return loop
