"""Trains on a machine that seems to have two devices: `python -m tests.examples.i3d.two_cpus ARGUMENTS of train.py`."""

from __future__ import annotations

import sys

import tensorflow as tf

from examples.i3d import train

if __name__ == "__main__":
    (cpu,) = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    sys.exit(train.main())
