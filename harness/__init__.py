"""Build and boot a kernel patch series in QEMU, and judge what it did."""

__version__ = "0.1.0"
