"""Steps renamed in notebooks, patches and specs."""
