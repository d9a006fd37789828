"""Sources fill the clip store: YouTube by yt-dlp, CVDF's archives. Encoding only reads what is there."""
