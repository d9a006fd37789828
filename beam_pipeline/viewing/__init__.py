"""Pictures of clips and of their flow, for people to look at."""
