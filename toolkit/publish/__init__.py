"""A normalised network for everybody: a folder with its card, and its place on the Hugging Face Hub."""

from .bundle import Bundle, write_bundle
from .card import card
from .upload import upload
