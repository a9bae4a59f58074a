"""What a solution answers.

``extract`` finds the answer in a text and ``equality`` compares two: ``numbers`` and ``latex`` read what is
written, ``verifier`` asks math-verify where that is not enough. ``votes`` chooses among trajectories,
``lookahead`` says what more of them would be worth, and ``sums`` does over what a step computes.
"""
