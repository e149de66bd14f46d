"""Wrong answers to the exercises of chapter 3, each with a piece of what the check must say."""

WRONG: list[tuple] = []
