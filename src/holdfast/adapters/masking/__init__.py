"""Keeps secrets out of everything that people and records get to see."""

from holdfast.adapters.masking.logs import MaskFilter, install
from holdfast.adapters.masking.mask import HIDDEN, Mask
from holdfast.adapters.masking.provider import MaskingProvider

__all__ = ["HIDDEN", "Mask", "MaskFilter", "MaskingProvider", "install"]
