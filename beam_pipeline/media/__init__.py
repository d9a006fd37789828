"""From a video file to one encoded clip: frames, optical flow, audio, and the record that holds them."""
