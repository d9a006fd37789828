"""I3D (Carreira and Zisserman 2017) in Sonnet 2: train it on the records, evaluate it, try it on one video."""
