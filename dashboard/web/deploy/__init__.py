"""The deploy wizard: what may be chosen, the form, and what the choice will cost."""
