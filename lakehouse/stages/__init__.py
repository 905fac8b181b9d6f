"""One step of the road each: extract, bronze, silver, gold. None knows another; each reads the layer before it from the lake."""
