"""Tags and settings of Kale 0.x to Kale 2."""
