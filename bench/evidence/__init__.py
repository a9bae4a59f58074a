"""How good it is: draws that are kept, comparisons on them, calibrations on outside data."""
