"""`python -m beam_pipeline`."""

# Decoding processes import this module again under another name: whatever stands outside the `if` costs each of them.
if __name__ == "__main__":
    import sys

    from beam_pipeline.cli import main

    sys.exit(main())
