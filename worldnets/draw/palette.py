"""The colours that all pictures share."""

# Okabe & Ito's palette, told apart by colour-blind readers too; lightened for filling boxes.
PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#999999")
GROUP_PALETTE = ("#0072B2", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#999999")  # observed boxes are orange
INK, ARROW, EVIDENCE, BAR, TROUGH = "#22272E", "#7B8794", "#E69F00", "#0072B2", "#E4E8EC"
BESIDE, BESIDE_INK = "#009E73", "#00714F"  # a second set of beliefs: its bars, its numbers
