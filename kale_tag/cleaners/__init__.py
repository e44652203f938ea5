"""Programs that clean notebooks: which of them delete Kale's tags, and what keeps them."""
