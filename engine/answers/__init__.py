"""What a solution answers: reading, comparing and voting, checked sums, and what more votes are worth."""
