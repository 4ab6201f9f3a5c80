// Placement.
