"""The attack table: what is written into an object (ATTACKS), and what is done beside (DEEDS)."""

from tests.control_plane.attacks import eve, mallory, outside
from tests.control_plane.attacks.engine import ARGUMENTS, IMAGES
from tests.control_plane.attacks.pods import POD_FIELDS, REFERENCES, SOURCES
from tests.control_plane.attacks.row import Attack
from tests.control_plane.attacks.scene import Deed
from tests.control_plane.attacks.variables import SIZES, VARIABLES

ATTACKS: tuple[Attack, ...] = (*POD_FIELDS, *REFERENCES, *SOURCES, *IMAGES, *ARGUMENTS, *VARIABLES, *SIZES)
DEEDS: tuple[Deed, ...] = (*mallory.DEEDS, *eve.DEEDS, *outside.DEEDS)
